"""``robolearn record``."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from pydantic import Field

from robolearn.cli.buttons import ButtonNames
from robolearn.cli.command import Command, Stopped
from robolearn.cli.console import counted
from robolearn.cli.live import Shown, live_view
from robolearn.cli.rendering import with_cameras
from robolearn.control.seeds import FIRST_EVALUATION_SEED
from robolearn.control.workers import available_cores
from robolearn.environments.expert import VARIATIONS, VariationName

if TYPE_CHECKING:
    from robolearn.agents.greedy import QNetwork
    from robolearn.control.simulation import MakeAgent, Wrap
    from robolearn.environments.targets import Task
    from robolearn.episodes.formats.folder import FolderWriter
    from robolearn.episodes.frames import EpisodeContext
    from robolearn.viewing.live import LiveView

_ALONE = ("scripted", "reverse", "random", "dqn")
"""Who drives without a person."""

_HOPELESS = 30
"""Failures at the beginning after which nothing better is expected."""


@dataclass(frozen=True, kw_only=True)
class Record(Command):
    """Record demonstrations into a dataset, which is made or added to.

    Each episode is safe on the disk as soon as it is kept. Episodes that fail are thrown away and
    counted, unless --failures.

    Where a person drives, an episode waits until it is begun by Enter or a motion; y keeps it, n
    keeps it as failed, x throws it away, z does it once more. On a real arm nothing moves between
    episodes before Enter says that things are put back; --by leader, the arm then goes to where the
    leader is held; --by hand, its motors go limp, hold the arm: you drag it, and it holds itself
    again when the episode is over. Space or Escape bring it to a halt at once. On
    real:virtual-so101 a scripted hand does the person's part.

    Example: robolearn record sim:lift --by scripted --to demos --episodes 20

    Example: robolearn record sim:lift --by keyboard --to demos

    Example: robolearn record real:so101 --by leader --to demos --episodes 5

    Example: robolearn record real:virtual-so101 --by hand --to demos --episodes 5

    Attributes:
        target: what to drive: sim:NAME, gym:ID, real:NAME, or the path of a TOML file.
        to: folder of the dataset.
        by: who drives: scripted does the task, reverse undoes it and is played backwards, random
            is chance, dqn first learns the task by its rewards, where actions are discrete; on a
            real arm, a person with the leader arm of its profile, or by hand; and a person who
            moves hands with keyboard, window, mouse, gamepad, spacemouse, vr, vr-usb, or the leader
            arm of another profile, real:NAME (docs/collecting.md, docs/vr.md).
        variation: of the task's script, as people vary: speed, noise that it corrects, approach
            from several sides, pauses; or all. Recorded as scripted+speed+….
        episodes: to add to the dataset.
        seed: of the first episode, and of what dqn learns; a dataset that is added to goes on with
            the seed after its last.
        failures: keep episodes that fail, too.
        cameras: to record, by the names that the simulator gives them.
        camera_height: of their images, pixels.
        camera_width: of their images, pixels.
        camera_depth: distances, too, in metres: observation.images.NAME_depth.
        camera_quality: fast leaves out shadows, reflections and smooth edges, for training; full is
            for pictures, and for images like robosuite's own.
        images: how they are kept: without loss and compressed, as JPEG, or raw. docs/formats.md
            compares them.
        operator: who is in charge; recorded with each episode.
        notes: anything else that is to be recorded with each episode.
        seconds: after which an episode that a person drives ends by itself; without it, a minute in
            a simulator or the task's own horizon if that is longer, and on an arm its horizon.
        hold: seconds that success must last before an episode that a person drives ends by itself.
        cues: what that person hears: one beep at the beginning, two at the end, three at success.
        processes: simulators at once; they do not change the result.
        buttons: further ways to begin, judge and stop where a person drives: on a page that a phone
            opens and that shows how it goes, or on a gamepad.
        view: show everything live in Rerun, in a window or, with web, in a browser on this machine;
            a script then takes its time, in one simulator.
    """

    target: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TARGET")]
    to: Path
    by: str = "scripted"
    variation: tuple[VariationName | Literal["all"], ...] = ()
    episodes: Annotated[int, Field(ge=1)] = 10
    seed: Annotated[int, Field(ge=0, lt=FIRST_EVALUATION_SEED)] = 0
    failures: bool = False
    cameras: tuple[str, ...] = ()
    camera_height: Annotated[int, Field(ge=1)] = 84
    camera_width: Annotated[int, Field(ge=1)] = 84
    camera_depth: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    camera_quality: Literal["fast", "full"] = "fast"
    images: Literal["lossless", "jpeg", "raw"] = "lossless"
    operator: str | None = None
    notes: str | None = None
    seconds: Annotated[float, Field(gt=0, le=3600)] | None = None
    hold: Annotated[float, Field(gt=0, le=3600)] = 1.0
    cues: Literal["beep", "none"] = "beep"
    processes: Annotated[int, Field(ge=1)] = available_cores()
    buttons: ButtonNames = ()
    view: Shown = None

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
        if self._by_person():
            from robolearn.cli.collecting import collect

            return collect(self)
        if names_arm(self.target):
            raise ConfigurationError(
                f"{self.target} is an arm: record it --by leader, --by hand or with a device"
            )
        if self.buttons:
            raise ConfigurationError(f"--buttons are for a person: --by {self.by} is none")
        task = load_target(self.target)
        make_agent, wrap = self._driver(task)
        task = with_cameras(task, self)
        watch = None if self.view is None else self.looking_on
        kept = tried = 0
        with FolderWriter(self.to) as writer:
            self.tell_of_episodes_in_flight(writer)
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
                            processes=1 if watch else min(self.processes, self.episodes),
                            wrap=wrap,
                            watch=watch,
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
                f"{counted(kept, 'episode')} recorded ({tried - kept} more were thrown away as "
                f"failed); {self.to} has {len(writer)}"
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

    def looking_on(self, context: EpisodeContext) -> AbstractContextManager[LiveView]:
        """The live view that ``--view`` asks for."""
        title = f"{self.target} by {self.by}"
        return live_view(self.view or (), context, self.by, title, self.console)

    def _by_person(self) -> bool:
        """Whether a person drives.

        Raises:
            ConfigurationError: nobody of that name drives.
        """
        from robolearn.agents.devices.registry import DEVICES
        from robolearn.cli.driven import JOINTS_LED
        from robolearn.environments.targets import names_arm
        from robolearn.errors import ConfigurationError

        known = (*_ALONE, *JOINTS_LED, *DEVICES)
        if self.by not in known and not names_arm(self.by):
            raise ConfigurationError(
                f"--by {self.by}: nobody of that name drives; {', '.join(known)} do, and the "
                "leader arm of a profile, real:NAME"
            )
        return self.by not in _ALONE

    def _driver(self, task: Task) -> tuple[MakeAgent, Wrap | None]:
        """What gives the agent for an environment of the task, and what that environment becomes.

        Raises:
            ShelfError: the task has no script.
            ConfigurationError: the task is not of a kind that DQN learns.
            MissingDependency: Stable-Baselines3 is not installed.
        """
        from robolearn.agents.greedy import GreedyAgent
        from robolearn.agents.random_actions import RandomAgent
        from robolearn.agents.reverse import PlacedObject, Retracing
        from robolearn.agents.scripted import ScriptedExpert
        from robolearn.environments.task import SimTask
        from robolearn.errors import ConfigurationError, ShelfError

        if self.variation and self.by != "scripted":
            raise ConfigurationError("--variation is of the task's script: add --by scripted")
        if self.by == "random":
            return RandomAgent, None
        if self.by == "dqn":
            return partial(GreedyAgent, self._learnt(task)), None
        if not isinstance(task, SimTask) or task.expert is None:
            raise ShelfError(
                f"{self.target} has no script: record it --by random, or add an [expert] with "
                "waypoints to the file of a simulated task"
            )
        if self.by == "reverse":
            return partial(Retracing, task), partial(PlacedObject, task)
        return partial(ScriptedExpert, task, variation=self._varied), None

    def _learnt(self, task: Task) -> QNetwork:
        from robolearn.environments.gymnasium_task import GymnasiumTask
        from robolearn.errors import ConfigurationError
        from robolearn.learning.dqn import learn_q_network

        if not isinstance(task, GymnasiumTask):
            raise ConfigurationError(
                f"{self.target} is no Gymnasium environment with discrete actions, which dqn needs"
            )
        try:
            with self.console.progress(f"learning {self.target} by dqn") as progress:
                return learn_q_network(task, self.seed, progress)
        except KeyboardInterrupt:
            raise Stopped("nothing was recorded: dqn had not learnt the task yet") from None

    @property
    def _varied(self) -> tuple[VariationName, ...]:
        """What is varied, each once, in the order of the names."""
        return tuple(name for name in VARIATIONS if {name, "all"} & set(self.variation))

    def tell_of_episodes_in_flight(self, writer: FolderWriter) -> None:
        """Say what an earlier recording left unfinished."""
        for episode in writer.in_flight().values():
            seconds = len(episode) / episode.context.rate
            self.console.say(
                f"{self.to}: an earlier recording ended in the middle of an episode, of which "
                f"{seconds:.1f} s are kept: robolearn edit {self.to} recover"
            )
