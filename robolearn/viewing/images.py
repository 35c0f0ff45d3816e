"""Pictures of an episode, rendered from its states or taken from its recorded cameras."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType

import imagecodecs
import numpy as np
from PIL import Image, ImageDraw

from robolearn.environments.rendering import CameraRenderer
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import IMAGES
from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.episodes.images import Images, codec_of, encoded_frames
from robolearn.errors import SimulationError
from robolearn.viewing.simulated import SimulatedWorld

_PREFERRED = "agentview"
"""robosuite's camera that looks at the table from the front."""
_WRIST = "eye_in_hand"
_QUALITY = 85


def jpeg(image: Array) -> bytes:
    """(height, width, 1 or 3) uint8 → a JPEG file."""
    return bytes(imagecodecs.jpeg8_encode(image, level=_QUALITY))


def jpegs(images: Images, frames: Iterable[int]) -> list[bytes]:
    """JPEG files of some frames; those that are kept as JPEG are taken as they are."""
    codec = codec_of(images)
    if codec.name == "jpeg":
        return [
            data for frame in frames for data in encoded_frames(images, codec, frame, frame + 1)
        ]
    return [jpeg(images[int(frame)]) for frame in frames]


def png(image: Array) -> bytes:
    """(height, width, 3) uint8 → a PNG file."""
    return _encode(image, "PNG", optimize=True)


def recorded_cameras(context: EpisodeContext) -> dict[str, str]:
    """Names of the features with recorded images, by the camera's name."""
    return {
        name.removeprefix(f"{IMAGES}."): name
        for name, feature in context.features.items()
        if feature.is_image and feature.dtype == "uint8" and feature.shape[-1] in {1, 3}
    }


def scene_cameras(world: SimulatedWorld) -> tuple[str, ...]:
    """The camera that sees the whole scene best, and the one on the wrist where there is one.

    Raises:
        SimulationError: the model has no camera.
    """
    cameras = world.cameras
    if not cameras:
        raise SimulationError("the episode's model has no camera")
    scene = _PREFERRED if _PREFERRED in cameras else cameras[0]
    wrist = [name for name in cameras if _WRIST in name and name != scene]
    return (scene, *wrist[:1])


class WorldPictures(AbstractContextManager["WorldPictures"]):
    """Renders a world as it was at frames of an episode. A context manager.

    Args:
        world: to render.
        cameras: names of its cameras.
        height: of the pictures, pixels.
        width: of the pictures, pixels.
        smooth: whether edges are smoothed, which doubles the time.

    Raises:
        MissingDependency: nothing can render here; the message names what to install.
        SimulationError: there is no such camera.
    """

    def __init__(
        self,
        world: SimulatedWorld,
        cameras: Sequence[str],
        height: int,
        width: int,
        *,
        smooth: bool = False,
    ) -> None:
        self._world = world
        # Without reflections (which draw everything twice) and shadows a picture takes a third of
        # the time in software GL.
        world.model.mat_reflectance[:] = 0
        world.model.vis.quality.shadowsize = 0
        world.model.vis.quality.offsamples = 4 if smooth else 0
        self._renderer = CameraRenderer(world.model, cameras, height, width)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free what renders."""
        self._renderer.close()

    def render(self, episode: Episode, frame: int) -> dict[str, Array]:
        """Images (height, width, 3) uint8 by camera name.

        Raises:
            SimulationError: the episode's states do not fit the world.
        """
        return self._renderer.render(self._world.at(episode, frame))


def film_strip(
    episode: Episode, pictures: int = 6, height: int = 150, width: int = 200, gap: int = 4
) -> Array:
    """An episode in a row of pictures from its beginning to its end, each with its time in seconds.

    They come from the first recorded camera, or else are rendered from the states.

    Args:
        episode: to show.
        pictures: how many; fewer for an episode with fewer frames.
        height: of each, pixels.
        width: of each, pixels.
        gap: between two, pixels; transparent is not possible, so they are white.

    Returns:
        (height, W, 3) uint8.

    Raises:
        MissingDependency: no camera was recorded and nothing can render here.
        SimulationError: no camera was recorded and the episode has no world to render.
    """
    frames = np.unique(np.linspace(0, len(episode) - 1, pictures).round().astype(int))
    recorded = list(recorded_cameras(episode.context).values())
    if recorded:
        pictures_of = episode.images[recorded[0]]
        images = [_fit(pictures_of[frame], height, width) for frame in frames]
    else:
        world = SimulatedWorld(episode.context)
        camera = scene_cameras(world)[0]
        with WorldPictures(world, [camera], height, width, smooth=True) as renderer:
            images = [renderer.render(episode, int(frame))[camera] for frame in frames]
    times = episode.time[frames] - episode.time[0]
    labelled = [
        _labelled(image, f"{time:.1f} s") for image, time in zip(images, times, strict=True)
    ]
    white = np.full((height, gap, 3), 255, np.uint8)
    row = [part for image in labelled for part in (white, image)][1:]
    return np.concatenate(row, axis=1)


def _fit(image: Array, height: int, width: int) -> Array:
    """An image scaled to a height and width, with one channel turned into three."""
    colored = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    return np.asarray(Image.fromarray(colored).resize((width, height), Image.Resampling.LANCZOS))


def _labelled(image: Array, text: str) -> Array:
    picture = Image.fromarray(np.ascontiguousarray(image))
    draw = ImageDraw.Draw(picture)
    at = (6, picture.height - 18)
    draw.text(at, text, fill=(255, 255, 255), stroke_fill=(0, 0, 0), stroke_width=1, font_size=13)
    return np.asarray(picture)


def _encode(image: Array, file_format: str, **options: int) -> bytes:
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, file_format, **options)
    return file.getvalue()
