"""What an emulator is started with, and what is in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CONTROL = "control"
CALIBRATION = "calibration"


@dataclass(frozen=True)
class Settings:
    """What an emulator is started with.

    Attributes:
        folder: that is there and empty; ports, frames, calibration and the socket appear in it.
        seed: of the cube's first place.
        cameras: that are rendered.
        height: of their images, pixels.
        width: pixels.
        fps: frames a second.
    """

    folder: str
    seed: int
    cameras: tuple[str, ...]
    height: int
    width: int
    fps: int


def clear_folder(folder: Path) -> None:
    """Remove what an emulator leaves in its folder, and the folder.

    Raises:
        OSError: there is something else in it.
    """
    calibration = folder / CALIBRATION
    ours = [folder / "follower", folder / "leader", folder / CONTROL, *folder.glob("*.frames")]
    for path in [*ours, calibration / "follower.json", calibration / "leader.json"]:
        path.unlink(missing_ok=True)
    if calibration.is_dir():
        calibration.rmdir()
    folder.rmdir()
