"""Lets a policy decide for an arm on another machine."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import zmq

from robolearn.agents.policy import PolicyAgent
from robolearn.control.remote.messages import MOST_BYTES, VERSION, packed, unpacked
from robolearn.episodes.frames import Array, Observation
from robolearn.errors import ConfigurationError, PolicyError
from robolearn.policies.schema import PolicySchema

_POLL_MS = 200


class PolicyServer:
    """Answers one client's observations with chunks of actions.

    Every message carries the token, without which nothing is answered. Messages are msgpack.

    Args:
        make_agent: a new agent for a task in words.
        schema: of its policy.
        token: that clients must know.
        address: to listen at, ``tcp://127.0.0.1:5555`` for example; port 0 takes a free one.

    Raises:
        ConfigurationError: nothing can listen there.
    """

    def __init__(
        self,
        make_agent: Callable[[str], PolicyAgent],
        schema: PolicySchema,
        token: str,
        address: str,
    ) -> None:
        self._make_agent, self._schema = make_agent, schema
        self._token = token.encode()
        self._agent: PolicyAgent | None = None
        self._answers: dict[Any, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "describe": self._describe,
            "begin": self._begin,
            "decide": self._decide,
        }
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REP)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MOST_BYTES)
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            self.close()
            raise ConfigurationError(f"nothing can listen at {address}: {error}") from error

    @property
    def address(self) -> str:
        """Where it listens."""
        return str(self._socket.getsockopt_string(zmq.LAST_ENDPOINT))

    def serve(self, going: Callable[[], bool] = lambda: True) -> None:
        """Answer, as long as ``going`` says so."""
        while going():
            if self._socket.poll(_POLL_MS):
                self._socket.send(packed(self._answer(self._socket.recv())))

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()
        self._context.term()

    def _answer(self, message: bytes) -> dict[str, Any]:
        try:
            content = unpacked(message)
            if not hmac.compare_digest(str(content.get("token", "")).encode(), self._token):
                raise PolicyError("the token is not that of robolearn serve")
            return self._answers[content.get("ask")](content)
        except PolicyError as error:
            return {"error": str(error)}
        except Exception as error:  # whatever a wrong observation leads to in a policy
            logging.getLogger(__name__).debug("refused", exc_info=True)
            return {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}

    def _describe(self, content: dict[str, Any]) -> dict[str, Any]:
        return {"version": VERSION, "schema": self._schema.to_json()}

    def _begin(self, content: dict[str, Any]) -> dict[str, Any]:
        if self._agent is None:
            self._agent = self._make_agent(str(content["task"]))
        self._agent.reset(int(content["seed"]))
        return {}

    def _decide(self, content: dict[str, Any]) -> dict[str, Any]:
        if self._agent is None:
            raise PolicyError("no episode has begun")
        values: dict[str, Array] = content["values"]
        for name, feature in self._schema.inputs.items():
            if name in values and values[name].shape != feature.shape:
                raise PolicyError(f"{name} is {values[name].shape}, not {feature.shape}")
        action = self._agent.act(Observation(values, dict.fromkeys(values, 0.0), 0.0))
        return {"step": content["step"], "actions": np.vstack([action[None], self._agent.ahead()])}
