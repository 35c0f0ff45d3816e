"""What drivers count in, as rad, m and shares."""

from __future__ import annotations

import math
from typing import Literal

type Unit = Literal["degrees", "radians", "percent", "signed-percent", "meters", "millimeters"]
"""Of a joint as its driver counts: percent is of the way from closed to open, from 0 to 100;
signed-percent of the way between both ends of a calibrated range, from −100 to 100."""

FACTORS: dict[Unit, float] = {
    "degrees": math.pi / 180,
    "radians": 1.0,
    "percent": 0.01,
    "signed-percent": 0.01,
    "meters": 1.0,
    "millimeters": 1e-3,
}
"""What one of each is, in rad, m or as a share."""

ANGLES: frozenset[Unit] = frozenset(("degrees", "radians"))

LEROBOT_UNITS: dict[str, Unit] = {
    "degrees": "degrees",
    "range_0_100": "percent",
    "range_m100_100": "signed-percent",
}
"""LeRobot's names of the ways in which it normalises the positions of servos."""
