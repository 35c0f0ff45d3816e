"""``robolearn deploy``."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from pydantic import Field

from robolearn.cli.buttons import ButtonNames, open_buttons
from robolearn.cli.command import Command, Stopped
from robolearn.cli.console import counted
from robolearn.cli.live import Shown, live_view
from robolearn.cli.main import ANSWER_IS_NO, DONE
from robolearn.control.seeds import FIRST_EVALUATION_SEED
from robolearn.policies.config import ActionChoice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from robolearn.agents.agent import Agent
    from robolearn.agents.devices.display import Display
    from robolearn.control.driving import Driven, Person
    from robolearn.control.loop import Observer
    from robolearn.environments.arms.environment import LeRobotEnvironment
    from robolearn.environments.arms.profile import Arm
    from robolearn.episodes.formats.folder import FolderWriter
    from robolearn.episodes.frames import Array, EpisodeContext
    from robolearn.learning.success import Evaluation

_TOKEN = "ROBOLEARN_TOKEN"
_HALTED = "the arm was brought to a halt and holds where it is"
_PUT_BACK = "put everything in place, step back, and press Enter: then the arm moves"


@dataclass(frozen=True, kw_only=True)
class Deploy(Command):
    """Let a policy drive a real arm.

    Keep the arm's own emergency stop within reach. Space or Escape bring the arm to a halt at once;
    Enter ends an episode, y and n say that it succeeded or failed, and t takes over from the policy
    with the leader arm, and gives back. Before each episode the arm waits until things are in place
    and Enter is pressed. Whatever is asked, the profile's limits hold; see
    docs/safety.md. Where success is known, by those keys or on the virtual arm, its rate is told.

    Example: robolearn deploy runs/lift --on real:virtual-so101 --episodes 50

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
        buttons: further ways to stop the arm and to judge an episode: on a page that a phone opens
            and that shows how it goes, or on a gamepad.
        view: show everything live in Rerun, in a window or, with web, in a browser on this machine.
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
    buttons: ButtonNames = ()
    view: Shown = None

    def run(self) -> int:
        from robolearn.agents.devices.registry import Setting
        from robolearn.control.driving import Person, measure
        from robolearn.environments.arms.environment import LeRobotEnvironment, context_of
        from robolearn.environments.arms.presence import present
        from robolearn.environments.arms.profile import load_arm
        from robolearn.episodes.formats.folder import FolderWriter
        from robolearn.errors import ConfigurationError
        from robolearn.policies.checkpoint import load_policy

        if (self.run_folder is None) == (self.policy is None):
            raise ConfigurationError("name either a run, or --policy tcp://HOST:PORT")
        with contextlib.ExitStack() as held:
            profile = load_arm(self.on)
            if self.run_folder is not None:
                load_policy(self.run_folder)  # refused before anything is started
            writer = None if self.to is None else held.enter_context(FolderWriter(self.to))
            here = held.enter_context(present(profile))
            arm, stage = here.arm, here.stage
            agent = self._agent(context_of(arm, stage), held)
            leader = self._leader(arm, held)
            environment = LeRobotEnvironment(arm, moves=not self.dry_run, stage=stage)
            person = Person(environment)
            held.callback(environment.close)
            setting = Setting(environment.context, person.ask, self.console.say)
            displays = open_buttons(self.buttons, setting, held)
            keys = held.enter_context(person.keys())
            held.callback(environment.close)  # first: buttons and keys stop it on its way home
            if leader is not None:
                agent = _with_takeover(agent, leader.pose, person, environment)
            for line in cautions(arm):
                self.console.say(line)
            if self.dry_run:
                self.console.say("dry run: nothing is sent to the motors")
            latencies = measure(environment, agent)
            self.console.say(str(latencies))
            if latencies.decide is not None and latencies.decide > latencies.step:
                self.console.say(
                    "the policy takes longer than a control step: actions will come late. "
                    "robolearn serve decides ahead while the arm goes on"
                )
            if keys.listening:
                self.console.say(person.keys_told)
            put_back = stage is None and (keys.listening or bool(self.buttons))
            return self._drive(environment, agent, person, writer, displays, put_back=put_back)

    def _drive(
        self,
        environment: LeRobotEnvironment,
        agent: Agent,
        person: Person,
        writer: FolderWriter | None,
        displays: Sequence[Display],
        *,
        put_back: bool,
    ) -> int:
        from robolearn.control.driving import drive
        from robolearn.episodes.labels import Labels

        done: list[Driven] = []
        with contextlib.ExitStack() as held:
            lookers_on: list[Observer] = []
            if self.view is not None:
                lookers_on.append(
                    held.enter_context(
                        live_view(self.view, environment.context, "policy", self.on, self.console)
                    )
                )
            if put_back:
                self.console.say(_PUT_BACK)
            try:
                for driven in drive(
                    environment,
                    agent,
                    "policy",
                    self.episodes,
                    person,
                    writer,
                    Labels(operator=self.operator, notes=self.notes),
                    itertools.count(FIRST_EVALUATION_SEED),
                    self.images,
                    lookers_on=lookers_on,
                    displays=displays,
                    put_back=put_back,
                ):
                    done.append(driven)
                    self.console.say(told(driven, self.episodes, judge=not self.dry_run))
                    if driven.halted and not person.stopped:
                        self.console.say(f"the arm was brought to a halt: {driven.halted}")
                    if put_back and len(done) < self.episodes and not person.stopped:
                        self.console.say(_PUT_BACK)
            except KeyboardInterrupt:
                halt = "nothing moved" if self.dry_run else _HALTED
                raise Stopped(f"{halt}; whole are {counted(len(done), 'episode')}") from None
        if person.stopped:
            self.console.say("the arm was stopped; it holds where it is, its motors stay on")
        halted = [driven.halted for driven in done if driven.halted]
        judged = self._judged(done)
        if judged is not None:
            self.console.say(str(judged))
        self.console.result(
            {
                "episodes": len(done),
                "halted": halted,
                "late": sum(driven.late for driven in done),
                "changed": _sum(driven.changed for driven in done),
                "interventions": sum(driven.interventions for driven in done),
                "dataset": self.to,
            }
            | ({} if judged is None else judged.to_json())
        )
        return ANSWER_IS_NO if halted else DONE

    def _judged(self, done: Sequence[Driven]) -> Evaluation | None:
        """What is known of the episodes' success; None for nothing."""
        from robolearn.learning.success import Evaluation

        judged = [driven for driven in done if driven.success is not None and not self.dry_run]
        if not judged:
            return None
        return Evaluation(
            task=self.on,
            seeds=tuple(driven.seed for driven in judged),
            successes=tuple(bool(driven.success) for driven in judged),
            held=tuple(bool(driven.held) for driven in judged),
            steps=tuple(driven.outcome.steps for driven in judged),
            actions=self.actions,
        )

    def _agent(self, context: EpisodeContext, held: contextlib.ExitStack) -> Agent:
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


def _with_takeover(
    agent: Agent, pose: Callable[[], Array], person: Person, environment: LeRobotEnvironment
) -> Agent:
    from robolearn.agents.takeover import Takeover

    return Takeover(
        agent, pose, lambda: person.driving, lambda: environment.sent, environment.towards
    )


def cautions(arm: Arm) -> Iterator[str]:
    """What a person beside an arm should know of its profile before it moves."""
    profile = arm.profile
    if profile.tried_on != "hardware":
        yield (
            f"{arm.target} was tried on {profile.tried_on}: be ready to stop the arm by its own "
            "switch"
        )
    if profile.workspace is None:
        yield (
            f"{arm.target} has no [workspace]: its joints are limited, and nothing is known of the "
            "table"
        )


def told(driven: Driven, episodes: int, *, judge: bool = True) -> str:
    """One line of an episode, for people; nothing is judged where nothing moved."""
    success = driven.success if judge else None
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
