"""The newest of what is shown: handed over by the loop, taken by a browser when it can."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

import imagecodecs

from robolearn.agents.devices.display import Status
from robolearn.episodes.features import IMAGES
from robolearn.episodes.frames import Array, Observation

_QUALITY = 80
"""Of JPEGs for the eye; what is recorded has nothing to do with it."""


class Shown:
    """Takes from the loop's thread, without waiting, and gives to that of the server.

    Args:
        camera_yaws: where cameras look, rad about the vertical from the robot's x axis.

    Attributes:
        camera_yaws: as given.
        status: the newest.
        images: (H, W, C) uint8 the newest, by the name of the camera.
    """

    def __init__(self, camera_yaws: Mapping[str, float]) -> None:
        self.camera_yaws = camera_yaws
        self.status: Status | None = None
        self.images: Mapping[str, Array] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._renewed = asyncio.Event()

    def serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake those who wait in this loop from now on."""
        self._loop = loop

    def show(self, status: Status, observation: Observation | None) -> None:
        """The newest status and observation."""
        self.status = status
        if observation is None:
            return
        images = {
            name.removeprefix(f"{IMAGES}."): value
            for name, value in observation.values.items()
            if name.startswith(f"{IMAGES}.") and value.shape[-1] == 3
        }
        if images and self._loop is not None:
            self.images = images
            with contextlib.suppress(RuntimeError):  # the server is closed
                self._loop.call_soon_threadsafe(self._renewed.set)

    async def newer(self) -> Mapping[str, Array]:
        """Wait for images that nobody has taken."""
        await self._renewed.wait()
        self._renewed.clear()
        return self.images


def jpeg(image: Array) -> bytes:
    """(H, W, 3) uint8 as JPEG."""
    return bytes(imagecodecs.jpeg8_encode(image, level=_QUALITY))
