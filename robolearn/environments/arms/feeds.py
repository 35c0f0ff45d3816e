"""Images as they arrive, in memory that two processes share."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from robolearn.episodes.frames import Array

_SLOTS = 4
_WAIT_MS = 100


class ImageSlots:
    """The last few images of each camera: one process writes, the other reads.

    Args:
        shapes: (H, W, C) by camera.
        memory: of `size` bytes.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], memory: Any) -> None:
        self._slots: dict[str, Array] = {}
        everything: Array = np.frombuffer(memory, np.uint8)
        begin = 0
        for name, shape in shapes.items():
            end = begin + _SLOTS * int(np.prod(shape))
            self._slots[name] = everything[begin:end].reshape(_SLOTS, *shape)
            begin = end

    @staticmethod
    def size(shapes: Mapping[str, tuple[int, ...]]) -> int:
        """Bytes of memory that cameras need; at least 1."""
        return 1 + _SLOTS * sum(int(np.prod(shape)) for shape in shapes.values())

    def write(self, name: str, number: int, image: Array) -> None:
        """Put image ``number`` in the place of one that is no longer looked at.

        Raises:
            ValueError: it has another shape.
        """
        if image.shape != self._slots[name].shape[1:]:
            raise ValueError(
                f"the camera {name} gives images of {image.shape}, "
                f"not {self._slots[name].shape[1:]}"
            )
        self._slots[name][number % _SLOTS] = image

    def read(self, name: str, number: int) -> Array:
        """A copy of image ``number``, which was written last or little before."""
        image: Array = self._slots[name][number % _SLOTS].copy()
        return image


class CameraFeed:
    """Takes a camera's images as they arrive, in a thread of its own.

    Args:
        name: of the camera.
        camera: LeRobot's, connected.
        slots: to put them into.

    Attributes:
        latest: number of the latest image, counted from 1, and when it arrived, in seconds of the
            monotonic clock; 0 and the beginning before the first.
        failure: why the last attempt gave no image; empty when it did, or none came yet.
    """

    def __init__(self, name: str, camera: Any, slots: ImageSlots) -> None:
        self._name, self._camera, self._slots = name, camera, slots
        self._ending = threading.Event()
        self.latest: tuple[int, float] = (0, time.monotonic())
        self.failure = ""
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, and disconnect the camera."""
        self._ending.set()
        self._thread.join(2.0)
        try:
            self._camera.disconnect()
        except Exception as error:  # it is gone already
            self.failure = str(error)

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                image = self._camera.async_read(timeout_ms=_WAIT_MS)
                number = self.latest[0] + 1
                self._slots.write(self._name, number, np.asarray(image))
            except TimeoutError:
                continue  # how old the latest is tells whether that matters
            except Exception as error:  # drivers raise what they like, and some of it passes
                self.failure = " ".join(str(error).split()) or type(error).__name__
                self._ending.wait(_WAIT_MS / 1e3)
                continue
            self.failure = ""
            self.latest = (number, time.monotonic())
