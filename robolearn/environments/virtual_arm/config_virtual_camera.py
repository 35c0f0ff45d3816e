"""LeRobot's configuration of a virtual camera, registered as a third party's plugin would."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lerobot.cameras import CameraConfig


@CameraConfig.register_subclass("robolearn_virtual")
@dataclass(kw_only=True)
class VirtualCameraConfig(CameraConfig):  # type: ignore[misc]  # LeRobot's are untyped
    """A camera of the virtual arm.

    LeRobot finds the camera's class by the names of this class and module.

    Attributes:
        frames: the file that the emulator puts the frames into.
    """

    frames: Path
