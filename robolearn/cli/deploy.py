"""``robolearn deploy``."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from pydantic import Field

from robolearn.cli.command import Command, Stopped
from robolearn.cli.main import ANSWER_IS_NO, DONE
from robolearn.control.seeds import FIRST_EVALUATION_SEED
from robolearn.policies.config import ActionChoice

if TYPE_CHECKING:
    from collections.abc import Callable

    from robolearn.agents.agent import Agent
    from robolearn.control.driving import Driven, Person
    from robolearn.environments.arms.profile import Arm
    from robolearn.episodes.frames import EpisodeContext

_TOKEN = "ROBOLEARN_TOKEN"


@dataclass(frozen=True, kw_only=True)
class Deploy(Command):
    """Let a policy drive a real arm.

    Keep the arm's own emergency stop within reach. Space or Escape bring the arm to a halt at once;
    Enter ends an episode, s and f say that it succeeded or failed, and t takes over from the policy
    with the leader arm, and gives back. Whatever is asked, the profile's limits hold; see
    docs/safety.md.

    Example: robolearn deploy runs/lift --on real:so101 --dry-run

    Attributes:
        run_folder: a run, or a policy folder; left out where --policy names a server.
        on: the arm: real:NAME, or the path of its profile.
        policy: where robolearn serve lets a policy decide, tcp://HOST:PORT. Its token is read from
            the environment variable ROBOLEARN_TOKEN.
        dry_run: do everything but move.
        episodes: how many.
        to: folder of a dataset that the episodes are added to.
        takeover: connect the profile's leader arm, by which a person can take over.
        actions: which of those that the policy holds for possible; see robolearn evaluate.
        images: how they are kept; see robolearn record.
        operator: who is in charge; recorded with each episode.
        notes: anything else that is to be recorded with each episode.
    """

    run_folder: Annotated[
        tyro.conf.Positional[Path | None], tyro.conf.arg(name="run", metavar="[RUN]")
    ] = None
    on: str
    policy: str | None = None
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    episodes: Annotated[int, Field(ge=1)] = 1
    to: Path | None = None
    takeover: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    actions: ActionChoice = "auto"
    images: Literal["lossless", "jpeg", "raw"] = "lossless"
    operator: str | None = None
    notes: str | None = None

    def run(self) -> int:
        from robolearn.control.driving import Person, measure
        from robolearn.environments.arms.environment import LeRobotEnvironment, context_of
        from robolearn.environments.arms.profile import load_arm
        from robolearn.errors import ConfigurationError

        if (self.run_folder is None) == (self.policy is None):
            raise ConfigurationError("name either a run, or --policy tcp://HOST:PORT")
        arm = load_arm(self.on)
        with contextlib.ExitStack() as held:
            agent = self._agent(arm, context_of(arm), held)
            leader = self._leader(arm, held)
            environment = LeRobotEnvironment(arm, moves=not self.dry_run)
            person = Person(environment)
            keys = held.enter_context(person.keys())  # which stop it on its way home, too
            held.callback(environment.close)
            if leader is not None:
                agent = _with_takeover(agent, leader.pose, person)
            self._introduce(arm)
            latencies = measure(environment, agent)
            self.console.say(str(latencies))
            if latencies.decide is not None and latencies.decide > latencies.step:
                self.console.say(
                    "the policy takes longer than a control step: actions will come late. "
                    "robolearn serve decides ahead while the arm goes on"
                )
            if keys.listening:
                self.console.say("Space or Escape: halt   Enter: end the episode   s, f: judge it")
            return self._drive(environment, agent, person)

    def _drive(self, environment: Any, agent: Agent, person: Person) -> int:
        from robolearn.control.driving import drive
        from robolearn.episodes.formats.folder import FolderWriter
        from robolearn.episodes.labels import Labels

        done: list[Driven] = []
        with contextlib.ExitStack() as held:
            writer = None if self.to is None else held.enter_context(FolderWriter(self.to))
            try:
                for driven in drive(
                    environment,
                    agent,
                    "policy",
                    self.episodes,
                    person,
                    writer,
                    Labels(operator=self.operator, notes=self.notes),
                    self.images,
                    FIRST_EVALUATION_SEED,
                ):
                    done.append(driven)
                    self.console.say(told(driven, self.episodes, person.success))
                    if driven.halted and not person.stopped:
                        self.console.say(f"the arm was brought to a halt: {driven.halted}")
            except KeyboardInterrupt:
                raise Stopped(
                    f"the arm was brought to a halt and holds where it is; {len(done)} episodes "
                    "are whole"
                ) from None
        if person.stopped:
            self.console.say("the arm was stopped; it holds where it is, its motors stay on")
        halted = [driven.halted for driven in done if driven.halted]
        self.console.result(
            {
                "episodes": len(done),
                "halted": halted,
                "late": sum(driven.late for driven in done),
                "changed": _sum(driven.changed for driven in done),
                "interventions": sum(driven.interventions for driven in done),
                "dataset": self.to,
            }
        )
        return ANSWER_IS_NO if halted else DONE

    def _agent(self, arm: Arm, context: EpisodeContext, held: contextlib.ExitStack) -> Agent:
        """What decides, once it is known to fit the arm."""
        if self.run_folder is not None:
            from robolearn.learning.evaluation import load_agent

            return load_agent(self.run_folder, self.on, context, self.actions)
        import os

        from robolearn.control.remote.client import RemotePolicy
        from robolearn.errors import ConfigurationError

        token = os.environ.get(_TOKEN)
        if not token:
            raise ConfigurationError(f"set {_TOKEN} to what robolearn serve shows")
        remote = RemotePolicy(str(self.policy), token, context.task, context.rate)
        held.callback(remote.close)
        remote.schema.require_fit(context, self.on)
        return remote

    def _leader(self, arm: Arm, held: contextlib.ExitStack) -> Any:
        if not self.takeover:
            return None
        from robolearn.agents.teleoperator import TeleoperatorAgent

        leader = TeleoperatorAgent(arm)
        held.callback(leader.close)
        return leader

    def _introduce(self, arm: Arm) -> None:
        tried = arm.profile.tried_on
        if tried != "hardware":
            self.console.say(
                f"{self.on} was tried on {tried}: be ready to stop the arm by its own switch"
            )
        if self.dry_run:
            self.console.say("dry run: nothing is sent to the motors")


def _with_takeover(agent: Agent, pose: Callable[[], Any], person: Person) -> Agent:
    from robolearn.agents.takeover import Takeover

    return Takeover(agent, pose, lambda: person.driving)


def told(driven: Driven, episodes: int, success: bool | None) -> str:
    """One line of an episode, for people."""
    judged = {True: ", succeeded", False: ", failed", None: ""}[success]
    changed = "; ".join(f"{reason} changed {n}" for reason, n in driven.changed.items())
    late = f"; {driven.late} without a new action" if driven.late else ""
    person = f"; {driven.interventions} by the person" if driven.interventions else ""
    kept = "" if driven.kept is None else f", kept as number {driven.kept}"
    return (
        f"episode {driven.number} of {episodes}: {driven.outcome.steps} control steps{judged}"
        f"{kept}; {changed or 'no limit was met'}{late}{person}"
    )


def _sum(counts: Any) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in counts:
        for reason, count in each.items():
            total[reason] = total.get(reason, 0) + count
    return total
