"""A camera's newest frames in a file that two processes map into memory.

There are three places for frames, used in turn; each is marked invalid while it is written, so that
a reader can tell that it was overtaken and looks again.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robolearn.episodes.frames import Array
from robolearn.errors import SimulationError

_MAGIC = b"RLFRAME1"
_HEADER = struct.Struct("<8s2I2Q")
"""Magic, height, width, number of the newest frame, and eight bytes that keep places aligned."""

_NEWEST = 16
_PLACES = 3
_STAMP = struct.Struct("<Qq")
_ATTEMPTS = 100


@dataclass(frozen=True)
class CameraFrame:
    """One picture.

    Attributes:
        number: counted from 1.
        timestamp: when it shows the world, seconds of this machine's monotonic clock.
        image: (height, width, 3) uint8, RGB, top row first.
    """

    number: int
    timestamp: float
    image: Array


class FrameWriter:
    """Makes the file, and puts frames into it.

    Args:
        path: of the file.
        height: pixels.
        width: pixels.
    """

    def __init__(self, path: Path, height: int, width: int) -> None:
        self._place_bytes = _place_bytes(height, width)
        size = _HEADER.size + _PLACES * self._place_bytes
        with path.open("xb+") as file:
            file.truncate(size)
            self._memory = mmap.mmap(file.fileno(), size)
        self._newest = _counter(self._memory)
        self._number = 0
        _HEADER.pack_into(self._memory, 0, _MAGIC, height, width, 0, 0)

    def write(self, image: Array, timestamp: float) -> None:
        """Publish a frame.

        Args:
            image: (height, width, 3) uint8.
            timestamp: of the monotonic clock, s.
        """
        self._number += 1
        place = _HEADER.size + self._number % _PLACES * self._place_bytes
        _STAMP.pack_into(self._memory, place, 0, 0)
        pixels = place + _STAMP.size
        self._memory[pixels : pixels + image.size] = image.tobytes()
        _STAMP.pack_into(self._memory, place, self._number, round(timestamp * 1e9))
        self._newest[0] = self._number

    def close(self) -> None:
        """Let go of the memory. The file stays."""
        self._newest.release()
        self._memory.close()


class FrameReader:
    """Reads a file that a `FrameWriter` fills.

    Args:
        path: of the file.

    Raises:
        SimulationError: there is no such file, or it holds something else.
    """

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise SimulationError(f"{path}: no virtual camera is there ({error})") from error
        if len(self._memory) < _HEADER.size or self._memory[:8] != _MAGIC:
            self._memory.close()
            raise SimulationError(f"{path}: this is no file of a virtual camera")
        _, self.height, self.width, _, _ = _HEADER.unpack_from(self._memory)
        self._place_bytes = _place_bytes(self.height, self.width)
        self._newest = _counter(self._memory)

    @property
    def newest(self) -> int:
        """Number of the newest frame; 0 before the first."""
        return self._newest[0]

    def read(self) -> CameraFrame | None:
        """The newest frame, None before the first.

        Raises:
            SimulationError: it could not be read whole; the writer died in the middle of one.
        """
        for _ in range(_ATTEMPTS):
            number = self.newest
            if not number:
                return None
            place = _HEADER.size + number % _PLACES * self._place_bytes
            pixels = place + _STAMP.size
            marked, nanoseconds = _STAMP.unpack_from(self._memory, place)
            data = self._memory[pixels : pixels + self.height * self.width * 3]
            if marked == number == _STAMP.unpack_from(self._memory, place)[0]:
                image = np.frombuffer(data, np.uint8).reshape(self.height, self.width, 3)
                return CameraFrame(number, nanoseconds * 1e-9, image)
        raise SimulationError("a virtual camera's frame cannot be read whole")

    def close(self) -> None:
        """Let go of the memory. May be called twice."""
        self._newest.release()
        self._memory.close()


def _counter(memory: mmap.mmap) -> memoryview[int]:
    """The number of the newest frame, which is read and written at once, all eight bytes of it.

    `struct` clears what it is about to write, so that a reader sees no frame for a moment.
    """
    return memoryview(memory)[_NEWEST : _NEWEST + 8].cast("Q")


def _place_bytes(height: int, width: int) -> int:
    """Stamp and pixels, as a multiple of eight bytes."""
    return -(-(_STAMP.size + height * width * 3) // 8) * 8
