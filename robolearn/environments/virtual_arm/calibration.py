"""How the virtual arms are calibrated: in LeRobot's files, and in the servos' memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from robolearn.environments.virtual_arm.model import JOINTS
from robolearn.environments.virtual_arm.servo import HALF_TURN, STEP, Servo
from robolearn.episodes.frames import Array

_MOUNTING = {
    "follower": (-35, 112, -420, 77, 1503, -1210),
    "leader": (18, -96, 333, -1041, 260, 702),
}
"""Steps by which each servo was screwed on beside its middle; differs from arm to arm."""


def calibrated_servos(arm: str, ranges: Array) -> list[Servo]:
    """The six servos of an arm as LeRobot's calibration leaves them.

    Args:
        arm: ``follower`` or ``leader``.
        ranges: (6, 2) radians.
    """
    servos = [Servo(number, offset) for number, offset in enumerate(_MOUNTING[arm], start=1)]
    for servo, (low, high) in zip(servos, _steps(ranges), strict=True):
        servo.table["Min_Position_Limit"] = low
        servo.table["Max_Position_Limit"] = high
        servo.table["Lock"] = 0
        servo.calibrate()
    return servos


def write_calibration(folder: Path, arm: str, ranges: Array) -> None:
    """Write LeRobot's file of an arm, ``ARM.json``: its id is the arm's name.

    Args:
        folder: to be given to LeRobot as ``calibration_dir``.
        arm: ``follower`` or ``leader``.
        ranges: (6, 2) radians.
    """
    folder.mkdir(parents=True, exist_ok=True)
    motors = {
        joint: {
            "id": number,
            "drive_mode": 0,
            "homing_offset": _MOUNTING[arm][number - 1],
            "range_min": low,
            "range_max": high,
        }
        for number, (joint, (low, high)) in enumerate(
            zip(JOINTS, _steps(ranges), strict=True), start=1
        )
    }
    (folder / f"{arm}.json").write_text(json.dumps(motors, indent=4) + "\n")


def _steps(ranges: Array) -> list[tuple[int, int]]:
    """Ranges in steps of Present_Position."""
    rounded = np.rint(ranges / STEP).astype(int) + HALF_TURN
    return [(int(low), int(high)) for low, high in rounded]
