"""``robolearn record``."""

from __future__ import annotations

from contextlib import closing
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
    from robolearn.episodes.formats.folder import FolderWriter

_HOPELESS = 30
"""Failures at the beginning after which nothing better is expected."""


@dataclass(frozen=True, kw_only=True)
class Record(Command):
    """Record demonstrations into a dataset, which is made or added to.

    Each episode is safe on the disk as soon as it is kept. Episodes that fail are thrown away and
    counted, unless --failures.

    Examples: robolearn record sim:lift --by scripted --to demos --episodes 20;
    robolearn record sim:can --by scripted --to demos --variation speed noise

    Attributes:
        target: what to drive: sim:NAME, or the path of a task's TOML file.
        to: folder of the dataset.
        by: who drives.
        variation: what the scripted expert varies as people do, any of speed, noise, approach and
            pauses, or all; recorded with each episode as the name of who drove.
        episodes: to add to the dataset.
        seed: of the first episode; a dataset that is added to goes on with the seed after its last.
        failures: keep episodes that fail, too.
        cameras: to record, by the names that the simulator gives them.
        camera_height: of their images, pixels.
        camera_width: of their images, pixels.
        images: how they are kept: without loss and compressed, as JPEG, or raw. docs/formats.md
            compares them.
        operator: who is in charge; recorded with each episode.
        notes: anything else that is to be recorded with each episode.
        processes: simulators at once; they do not change the result.
    """

    target: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TARGET")]
    to: Path
    by: Literal["scripted"] = "scripted"
    variation: tuple[VariationName | Literal["all"], ...] = ()
    episodes: Annotated[int, Field(ge=1)] = 10
    seed: Annotated[int, Field(ge=0, lt=FIRST_EVALUATION_SEED)] = 0
    failures: bool = False
    cameras: tuple[str, ...] = ()
    camera_height: Annotated[int, Field(ge=1)] = 84
    camera_width: Annotated[int, Field(ge=1)] = 84
    images: Literal["lossless", "jpeg", "raw"] = "lossless"
    operator: str | None = None
    notes: str | None = None
    processes: Annotated[int, Field(ge=1)] = available_cores()

    def run(self) -> int:
        from robolearn.agents.scripted import ScriptedExpert
        from robolearn.control.simulation import record_episodes, seeds_after
        from robolearn.environments.rendering import require_gl
        from robolearn.environments.task import load_task
        from robolearn.episodes.formats import format_of
        from robolearn.episodes.formats.folder import FolderWriter
        from robolearn.episodes.labels import Labels
        from robolearn.errors import ConfigurationError, SimulationError

        if format_of(self.to) != "folder" and not self.to.is_dir():
            raise ConfigurationError(
                f"{self.to}: recordings are kept in a folder, a file an episode; name one without "
                f"the ending {self.to.suffix}, and convert it afterwards"
            )
        task = load_task(self.target)
        if self.cameras:
            require_gl()
            task = task.with_cameras(self.cameras, self.camera_height, self.camera_width)
        chosen = VARIATIONS if "all" in self.variation else self.variation
        variation = tuple(name for name in VARIATIONS if name in chosen)
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
                            partial(ScriptedExpert, task, variation=variation),
                            "+".join((self.by, *variation)),
                            seeds_after(writer, self.seed),
                            writer,
                            images=self.images,
                            labels=Labels(operator=self.operator, notes=self.notes),
                            keep=lambda outcome: self.failures or bool(outcome.success_at_end),
                            processes=min(self.processes, self.episodes),
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
                                f"{self.by} failed in each of the first {tried} episodes: mend "
                                "the task's [expert], or look at them with --failures"
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

    def _tell_of_episodes_in_flight(self, writer: FolderWriter) -> None:
        for episode in writer.in_flight().values():
            seconds = len(episode) / episode.context.rate
            self.console.say(
                f"{self.to}: an earlier recording ended in the middle of an episode, of which "
                f"{seconds:.1f} s are kept: robolearn edit {self.to} recover"
            )
