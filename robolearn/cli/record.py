"""``robolearn record``."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from pydantic import Field

from robolearn.cli.command import Command, Stopped
from robolearn.control.seeds import FIRST_EVALUATION_SEED
from robolearn.control.workers import available_cores
from robolearn.environments.expert import VARIATIONS, VariationName

if TYPE_CHECKING:
    from robolearn.control.simulation import MakeAgent, Wrap
    from robolearn.environments.targets import Task
    from robolearn.episodes.formats.folder import FolderWriter

_HOPELESS = 30
"""Failures at the beginning after which nothing better is expected."""


@dataclass(frozen=True, kw_only=True)
class Record(Command):
    """Record demonstrations into a dataset, which is made or added to.

    Each episode is safe on the disk as soon as it is kept. Episodes that fail are thrown away and
    counted, unless --failures.

    On a real arm, --by leader, it begins where the leader arm is held. Space or Escape bring it to
    a halt at once; Enter ends an episode, and s and f say that it succeeded or failed.

    Example: robolearn record sim:lift --by scripted --to demos --episodes 20
    Example: robolearn record real:so101 --by leader --to demos --episodes 5

    Attributes:
        target: what to drive: sim:NAME, gym:ID, real:NAME, or the path of a TOML file.
        to: folder of the dataset.
        by: who drives: a script that does the task, one that undoes it and is played backwards, or
            chance; on a real arm, a person with the leader arm of its profile.
        variation: of the task's script, as people vary: speed, noise that it corrects, approach
            from several sides, pauses; or all. Recorded as scripted+speed+….
        episodes: to add to the dataset.
        seed: of the first episode; a dataset that is added to goes on with the seed after its last.
        failures: keep episodes that fail, too.
        cameras: to record, by the names that the simulator gives them.
        camera_height: of their images, pixels.
        camera_width: of their images, pixels.
        camera_quality: fast leaves out shadows, reflections and smooth edges, for training; full is
            for pictures, and for images like robosuite's own.
        images: how they are kept: without loss and compressed, as JPEG, or raw. docs/formats.md
            compares them.
        operator: who is in charge; recorded with each episode.
        notes: anything else that is to be recorded with each episode.
        processes: simulators at once; they do not change the result.
    """

    target: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TARGET")]
    to: Path
    by: Literal["scripted", "reverse", "random", "leader"] = "scripted"
    variation: tuple[VariationName | Literal["all"], ...] = ()
    episodes: Annotated[int, Field(ge=1)] = 10
    seed: Annotated[int, Field(ge=0, lt=FIRST_EVALUATION_SEED)] = 0
    failures: bool = False
    cameras: tuple[str, ...] = ()
    camera_height: Annotated[int, Field(ge=1)] = 84
    camera_width: Annotated[int, Field(ge=1)] = 84
    camera_quality: Literal["fast", "full"] = "fast"
    images: Literal["lossless", "jpeg", "raw"] = "lossless"
    operator: str | None = None
    notes: str | None = None
    processes: Annotated[int, Field(ge=1)] = available_cores()

    def run(self) -> int:
        from robolearn.control.simulation import record_episodes, seeds_after
        from robolearn.environments.targets import load_target, names_arm
        from robolearn.episodes.formats import format_of
        from robolearn.episodes.formats.folder import FolderWriter
        from robolearn.episodes.labels import Labels
        from robolearn.errors import ConfigurationError, SimulationError

        if format_of(self.to) != "folder" and not self.to.is_dir():
            raise ConfigurationError(
                f"{self.to}: recordings are kept in a folder, a file an episode; name one without "
                f"the ending {self.to.suffix}, and convert it afterwards"
            )
        if self.by == "leader" or names_arm(self.target):
            return self._record_arm()
        task = load_target(self.target)
        make_agent, wrap = self._driver(task)
        if self.cameras:
            task = task.with_cameras(
                self.cameras, self.camera_height, self.camera_width, self.camera_quality
            )
        kept = tried = 0
        with FolderWriter(self.to) as writer:
            self._tell_of_episodes_in_flight(writer)
            before = len(writer)
            try:
                with (
                    self.console.progress(f"recording {self.target}") as progress,
                    closing(
                        record_episodes(
                            task,
                            make_agent,
                            "+".join((self.by, *self._varied)),
                            seeds_after(writer, self.seed),
                            writer,
                            images=self.images,
                            labels=Labels(operator=self.operator, notes=self.notes),
                            keep=lambda outcome: (
                                self.failures or outcome.success_at_end is not False
                            ),
                            processes=min(self.processes, self.episodes),
                            wrap=wrap,
                        )
                    ) as results,
                ):
                    for result in results:
                        tried += 1
                        kept += result.kept
                        progress(kept, self.episodes, f"{tried - kept} failed")
                        if kept == self.episodes:
                            break
                        if not kept and tried == _HOPELESS:
                            raise SimulationError(
                                f"{self.by} failed in each of the first {tried} episodes: "
                                + (
                                    "chance seldom succeeds, keep them with --failures"
                                    if self.by == "random"
                                    else "mend the task's [expert], or look at them with --failures"
                                )
                            )
            except KeyboardInterrupt:
                raise Stopped(
                    f"{len(writer) - before} new episodes are kept, {self.to} has {len(writer)}; "
                    "record again to add more"
                ) from None
            self.console.say(
                f"{kept} episodes recorded ({tried - kept} more were thrown away as failed); "
                f"{self.to} has {len(writer)}"
            )
            self.console.result(
                {
                    "dataset": self.to,
                    "recorded": kept,
                    "failed": tried - kept,
                    "episodes": len(writer),
                }
            )
        return 0

    def _record_arm(self) -> int:
        """Record what a person does with a leader arm."""
        from robolearn.agents.teleoperator import TeleoperatorAgent
        from robolearn.cli.deploy import told
        from robolearn.control.driving import Driven, Person, drive, measure
        from robolearn.environments.arms.environment import LeRobotEnvironment
        from robolearn.environments.arms.profile import load_arm
        from robolearn.episodes.formats.folder import FolderWriter
        from robolearn.episodes.labels import Labels
        from robolearn.errors import ConfigurationError

        if self.by != "leader":
            raise ConfigurationError(f"{self.target} is an arm: record it --by leader")
        if self.cameras or self.variation:
            raise ConfigurationError("an arm's cameras are in its profile, and a person varies")
        arm = load_arm(self.target)
        done: list[Driven] = []
        with ExitStack() as held:
            leader = TeleoperatorAgent(arm)
            held.callback(leader.close)
            environment = LeRobotEnvironment(arm)
            person = Person(environment)
            keys = held.enter_context(person.keys())  # which stop it on its way home, too
            held.callback(environment.close)
            environment.start = leader.pose
            writer = held.enter_context(FolderWriter(self.to))
            self._tell_of_episodes_in_flight(writer)
            self.console.say(str(measure(environment)))
            if keys.listening:
                self.console.say("Space or Escape: halt   Enter: end the episode   s, f: judge it")
            labels = Labels(operator=self.operator, notes=self.notes)
            try:
                for driven in drive(
                    environment,
                    leader,
                    "leader",
                    self.episodes,
                    person,
                    writer,
                    labels,
                    self.images,
                    self.seed + len(writer),
                ):
                    done.append(driven)
                    self.console.say(told(driven, self.episodes, person.success))
                    if driven.halted:
                        self.console.say(f"the arm was brought to a halt: {driven.halted}")
            except KeyboardInterrupt:
                raise Stopped(
                    f"the arm was brought to a halt and holds where it is; {len(done)} new "
                    f"episodes are kept, {self.to} has {len(writer)}"
                ) from None
            self.console.result(
                {"dataset": self.to, "recorded": len(done), "episodes": len(writer)}
            )
        return 0

    def _driver(self, task: Task) -> tuple[MakeAgent, Wrap | None]:
        """What gives the agent for an environment of the task, and what that environment becomes.

        Raises:
            ShelfError: the task has no script.
        """
        from robolearn.agents.random_actions import RandomAgent
        from robolearn.agents.reverse import PlacedObject, Retracing
        from robolearn.agents.scripted import ScriptedExpert
        from robolearn.environments.task import SimTask
        from robolearn.errors import ConfigurationError, ShelfError

        if self.variation and self.by != "scripted":
            raise ConfigurationError("--variation is of the task's script: add --by scripted")
        if self.by == "random":
            return RandomAgent, None
        if not isinstance(task, SimTask) or task.expert is None:
            raise ShelfError(
                f"{self.target} has no script: record it --by random, or add an [expert] with "
                "waypoints to the file of a simulated task"
            )
        if self.by == "reverse":
            return partial(Retracing, task), partial(PlacedObject, task)
        return partial(ScriptedExpert, task, variation=self._varied), None

    @property
    def _varied(self) -> tuple[VariationName, ...]:
        """What is varied, each once, in the order of the names."""
        return tuple(name for name in VARIATIONS if {name, "all"} & set(self.variation))

    def _tell_of_episodes_in_flight(self, writer: FolderWriter) -> None:
        for episode in writer.in_flight().values():
            seconds = len(episode) / episode.context.rate
            self.console.say(
                f"{self.to}: an earlier recording ended in the middle of an episode, of which "
                f"{seconds:.1f} s are kept: robolearn edit {self.to} recover"
            )
