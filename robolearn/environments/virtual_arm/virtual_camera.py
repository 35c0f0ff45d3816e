"""The virtual arm's cameras, as LeRobot drives cameras."""

from __future__ import annotations

import time
from typing import Any

from lerobot.cameras import Camera
from lerobot.utils.errors import DeviceAlreadyConnectedError, DeviceNotConnectedError

from robolearn.environments.virtual_arm.config_virtual_camera import VirtualCameraConfig
from robolearn.environments.virtual_arm.frames import CameraFrame, FrameReader
from robolearn.episodes.frames import Array
from robolearn.errors import ConfigurationError, SimulationError

_FIRST_FRAME = 5.0
_POLL = 0.001


class VirtualCamera(Camera):  # type: ignore[misc]  # LeRobot's are untyped
    """Shows what the emulator renders.

    Args:
        config: where its frames are, and how large and how many a second they are to be.

    Attributes:
        latest_timestamp: when the frame that was read last shows the world, seconds of the
            monotonic clock; None before the first.
    """

    def __init__(self, config: VirtualCameraConfig) -> None:
        super().__init__(config)
        self.height: int | None = config.height
        self.width: int | None = config.width
        self.config = config
        self.latest_timestamp: float | None = None
        self._reader: FrameReader | None = None
        self._seen = 0

    def __str__(self) -> str:
        return f"VirtualCamera({self.config.frames.stem})"

    @property
    def is_connected(self) -> bool:
        """Whether frames can be read."""
        return self._reader is not None

    @staticmethod
    def find_cameras() -> list[dict[str, Any]]:
        """None: a virtual camera is known by whoever started the arm."""
        return []

    def connect(self, warmup: bool = True) -> None:
        """Open the file, and wait for a first frame.

        Raises:
            ConnectionError: no emulator is there, or frames do not come.
            ConfigurationError: its frames have another size.
            DeviceAlreadyConnectedError: it is connected.
        """
        if self._reader is not None:
            raise DeviceAlreadyConnectedError(f"{self} is already connected.")
        try:
            reader = FrameReader(self.config.frames)
        except SimulationError as error:
            raise ConnectionError(str(error)) from error
        height, width = self.height or reader.height, self.width or reader.width
        if (height, width) != (reader.height, reader.width):
            reader.close()
            raise ConfigurationError(
                f"{self} has frames of {reader.width}x{reader.height}, not {width}x{height}"
            )
        self.height, self.width = height, width
        self._reader, self._seen = reader, 0
        if warmup:
            try:
                self.async_read(timeout_ms=_FIRST_FRAME * 1000)
            except TimeoutError as error:
                self.disconnect()
                raise ConnectionError(f"{self} has no frames") from error

    def read(self, color_mode: object = None) -> Array:
        """The next frame, (height, width, 3) uint8 RGB; waits for it."""
        self._seen = self._connected().newest
        return self.async_read(timeout_ms=_FIRST_FRAME * 1000)

    def async_read(self, timeout_ms: float = 200) -> Array:
        """A frame that was not read before, (height, width, 3) uint8 RGB.

        Raises:
            TimeoutError: none comes in time.
            DeviceNotConnectedError: it is not connected.
        """
        reader, until = self._connected(), time.monotonic() + timeout_ms / 1000
        while reader.newest == self._seen:
            if time.monotonic() >= until:
                raise TimeoutError(f"{self} has no new frame after {timeout_ms:.0f} ms")
            time.sleep(_POLL)
        return self._taken(reader.read()).image

    def read_latest(self, max_age_ms: int = 500) -> Array:
        """The newest frame, (height, width, 3) uint8 RGB, read before or not.

        Raises:
            TimeoutError: it is older than ``max_age_ms``.
            RuntimeError: there is none yet.
            DeviceNotConnectedError: it is not connected.
        """
        frame = self._taken(self._connected().read())
        age = (time.monotonic() - frame.timestamp) * 1000
        if age > max_age_ms:
            raise TimeoutError(f"{self} has no newer frame than one of {age:.0f} ms ago")
        return frame.image

    def disconnect(self) -> None:
        """Close the file.

        Raises:
            DeviceNotConnectedError: it is not connected.
        """
        self._connected().close()
        self._reader = None

    def _connected(self) -> FrameReader:
        if self._reader is None:
            raise DeviceNotConnectedError(f"{self} is not connected.")
        return self._reader

    def _taken(self, frame: CameraFrame | None) -> CameraFrame:
        if frame is None:
            raise RuntimeError(f"{self} has no frame yet")
        self._seen, self.latest_timestamp = frame.number, frame.timestamp
        return frame
