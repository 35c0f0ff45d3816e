"""``robolearn convert``."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from pydantic import Field

from robolearn.cli.command import Command, Stopped
from robolearn.cli.rendering import with_cameras

if TYPE_CHECKING:
    from robolearn.control.playback import Playback
    from robolearn.episodes.episode import Episode


_LOSSY = {"jpeg", "jpegxl", "jpeg2k"}
"""Forms of images that say so here; of `video`, its writer does."""


@dataclass(frozen=True, kw_only=True)
class Convert(Command):
    """Copy a dataset into another form, episode by episode.

    Reads and writes folders of episodes, HDF5 files of robomimic, zarr replay buffers of Diffusion
    Policy and UMI, and LeRobot's datasets; reads what robosuite collects, too. A folder that was
    begun is gone on with; other forms appear when they are complete. What the form has no place for
    is said at the end.

    --replay plays recorded states of a simulator back, to fill in what a task observes.

    Example: robolearn convert demo.hdf5 demos --replay sim:lift --cameras agentview

    Attributes:
        source: the dataset.
        to: folder or file to write. Its name tells the form: *.hdf5, *.zarr or *.zarr.zip; any
            other is a folder of episodes.
        format: to write, whatever the name.
        images: how they are kept: lossless, raw or jpeg in a folder or hdf5; lossless, raw, jpegxl
            or jpeg2k in zarr; png or video for lerobot. Without it nothing is lost.
        split: episodes to copy.
        replay: task whose observations are filled in: sim:NAME, or the path of its TOML file.
        cameras: to render while playing back, by the names that the simulator gives them.
        camera_height: of their images, pixels.
        camera_width: of their images, pixels.
        camera_depth: distances, too, in metres: observation.images.NAME_depth.
        camera_quality: fast leaves out shadows, reflections and smooth edges, for training; full is
            for pictures, and for images like robosuite's own.
    """

    source: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="SOURCE")]
    to: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="TO")]
    format: Literal["folder", "hdf5", "zarr", "lerobot"] | None = None
    images: Literal["raw", "lossless", "jpeg", "jpegxl", "jpeg2k", "png", "video"] | None = None
    split: Literal["train", "valid", "all"] = "all"
    replay: str | None = None
    cameras: tuple[str, ...] = ()
    camera_height: Annotated[int, Field(ge=1)] = 84
    camera_width: Annotated[int, Field(ge=1)] = 84
    camera_depth: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    camera_quality: Literal["fast", "full"] = "fast"

    def run(self) -> int:
        from robolearn.episodes.curation.convert import (
            begun,
            converted_before,
            copy_episodes,
            require_apart,
        )
        from robolearn.episodes.curation.statistics import size_on_disk
        from robolearn.episodes.formats import format_of, open_dataset, open_writer
        from robolearn.errors import ConfigurationError

        if self.cameras and self.replay is None:
            raise ConfigurationError("--cameras are rendered while playing back: add --replay")
        require_apart(self.source, self.to)
        source = open_dataset(self.source)
        indices = source.split(self.split)
        if not indices:
            raise ConfigurationError(f"{self.source} has no episodes for --split {self.split}")
        form = self.format or format_of(self.to)
        before = written = frames = 0
        left_out: set[str] = set()
        try:
            with (
                self.console.progress(f"converting {self.source}") as progress,
                ExitStack() as opened,
            ):
                writer = opened.enter_context(open_writer(self.to, form, self.images))
                before = converted_before(source, indices, self.to)
                playback = self._playback(opened) if before < len(indices) else None
                change = playback.episode if playback is not None else _unchanged
                for episode in copy_episodes(source, indices[before:], writer, change):
                    written += 1
                    frames += len(episode)
                    progress(before + written, len(indices), f"{frames} frames")
                pictures = any(feature.is_image for feature in source.context.features.values())
                if pictures and self.images in _LOSSY:
                    left_out.add(f"exact images: {self.images} keeps them nearly")
                left_out |= writer.left_out | (playback.left_out if playback is not None else set())
        except KeyboardInterrupt:
            kept = len(begun(self.to) or ())
            raise Stopped(
                f"{kept} of {len(indices)} episodes are in {self.to}; run the same command again "
                f"to {'go on' if kept else 'copy them'}"
            ) from None
        sizes = {path: size_on_disk(path) for path in (self.source, self.to)}
        say = self.console.say
        say(
            f"{written} episodes, {frames} frames copied"
            + f" ({before} more had been copied before)" * bool(before)
            + f": {self.source} has {_megabytes(sizes[self.source])}, "
            f"{self.to} {_megabytes(sizes[self.to])}"
        )
        for what in sorted(left_out):
            say(f"left out: {what}")
        self.console.result(
            {
                "dataset": self.to,
                "format": form,
                "episodes": len(indices),
                "copied": written,
                "frames": frames,
                "bytes_before": sizes[self.source],
                "bytes_after": sizes[self.to],
                "left_out": sorted(left_out),
            }
        )
        return 0

    def _playback(self, opened: ExitStack) -> Playback | None:
        """What plays back, closed at the end; None where nothing is to be."""
        if self.replay is None:
            return None
        from robolearn.control.playback import Playback
        from robolearn.environments.task import load_task

        task = with_cameras(load_task(self.replay), self)
        return opened.enter_context(closing(Playback(task)))


def _unchanged(episode: Episode) -> Episode:
    return episode


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
