"""``robolearn serve``."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from robolearn.cli.command import Command, Stopped
from robolearn.policies.config import ActionChoice


@dataclass(frozen=True, kw_only=True)
class Serve(Command):
    """Let a policy decide for an arm on another machine, until Ctrl-C.

    Messages are msgpack over ZeroMQ, and each carries a token: that of the environment variable
    ROBOLEARN_TOKEN, or a new one that is shown. They are not encrypted: listen on a network that
    you trust, or through a tunnel (ssh -L).

    Example: robolearn serve runs/lift --address tcp://127.0.0.1:5555

    Attributes:
        run_folder: a run, or a policy folder.
        address: to listen at; tcp://0.0.0.0:5555 for all of the machine's networks.
        actions: which of those that the policy holds for possible; see robolearn evaluate.
    """

    run_folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(name="run", metavar="RUN")]
    address: str = "tcp://127.0.0.1:5555"
    actions: ActionChoice = "auto"

    def run(self) -> int:
        from robolearn.agents.policy import PolicyAgent
        from robolearn.errors import MissingDependency
        from robolearn.policies.checkpoint import load_policy

        try:
            from robolearn.control.remote.server import PolicyServer
        except ImportError as error:
            raise MissingDependency(
                f"robolearn serve needs ZeroMQ: pip install 'robolearn[real]' ({error})"
            ) from error
        policy = load_policy(self.run_folder)
        token = os.environ.get("ROBOLEARN_TOKEN") or secrets.token_urlsafe(24)
        server = PolicyServer(
            # It decides anew at each question: the client knows which actions are still to come.
            lambda task: PolicyAgent(policy, task, self.actions, execute=1),
            policy.schema,
            token,
            self.address,
        )
        try:
            self.console.say(f"{self.run_folder} decides at {server.address}")
            self.console.say(f"export ROBOLEARN_TOKEN={token}")
            server.serve()
        except KeyboardInterrupt:
            raise Stopped("the policy decides no more") from None
        finally:
            server.close()
        return 0
