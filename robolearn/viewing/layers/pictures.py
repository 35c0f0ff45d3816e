"""What cameras saw, or would have seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import rerun as rr

from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.viewing import entities
from robolearn.viewing.images import WorldPictures, jpeg, jpegs, recorded_cameras, scene_cameras
from robolearn.viewing.layers.layer import Layer
from robolearn.viewing.simulated import SimulatedWorld
from robolearn.viewing.timeline import Clip


class RecordedImages(Layer):
    """What the cameras saw.

    Args:
        context: of the episodes.
    """

    def __init__(self, context: EpisodeContext) -> None:
        self._cameras = recorded_cameras(context)

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        for camera, name in self._cameras.items():
            images = clip.episode.images[name]
            times = clip.episode.timestamps.get(name)
            # A camera that is slower than the loop shows one image in several frames.
            new: Array = np.arange(len(images))
            if times is not None:
                new = np.flatnonzero(np.diff(times, prepend=np.nan) != 0)
            send_images(recording, clip, entities.camera(camera), new, jpegs(images, new))


class RenderedImages(Layer):
    """What cameras would have seen, rendered from the states.

    Args:
        world: to render.
        episodes: how many are rendered; after them, the first one that fails.
        every: frames from one picture to the next.

    Attributes:
        cameras: names of the cameras.
        shown: numbers of the episodes rendered so far.

    Raises:
        MissingDependency: nothing can render here.
        SimulationError: the model has no camera.
    """

    def __init__(self, world: SimulatedWorld, episodes: int, every: int) -> None:
        self.cameras = scene_cameras(world)
        self.shown: list[int] = []
        self._left = episodes
        self._every = every
        self._failure_wanted = True
        self._pictures = WorldPictures(world, self.cameras, 240, 320)

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        failed = clip.episode.outcome.success is False
        if self._left <= 0 and not (failed and self._failure_wanted):
            return
        self.shown.append(clip.number)
        self._left -= 1
        self._failure_wanted &= not failed
        frames = np.arange(0, len(clip.episode), self._every)
        shots = [self._pictures.render(clip.episode, int(frame)) for frame in frames]
        for camera in self.cameras:
            encoded = [jpeg(shot[camera]) for shot in shots]
            send_images(recording, clip, entities.camera(camera), frames, encoded)
            # Else the last picture would stand there through the episodes that follow.
            rr.send_columns(
                entities.camera(camera),
                clip.after(),
                rr.Clear.columns(is_recursive=[False]),
                recording=recording,
            )

    def finish(self, recording: rr.RecordingStream) -> None:
        """Free what renders."""
        self._pictures.close()


def send_images(
    recording: rr.RecordingStream, clip: Clip, path: str, frames: Array, images: Sequence[bytes]
) -> None:
    """Write JPEG files as what is seen at these frames."""
    rr.send_columns(
        path,
        clip.columns(frames),
        rr.EncodedImage.columns(blob=images, media_type=["image/jpeg"] * len(frames)),
        recording=recording,
    )
