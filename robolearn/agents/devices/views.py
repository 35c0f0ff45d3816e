"""Where a simulated world's cameras look, so that a hand moves the way its picture shows."""

from __future__ import annotations

import math
from xml.etree import ElementTree

from scipy.spatial.transform import Rotation

VIEW = "agentview"
"""The camera that directions are seen from, where there is one: robosuite's tasks have it."""

_LEVEL = 0.2
"""Of a unit vector, how much has to be level for it to have a direction: 12° from straight down."""


def camera_yaws(model_file: str | None) -> dict[str, float]:
    """Radians about the vertical from the x axis, by camera; of those that stand in the world.

    Args:
        model_file: MJCF, where there is one.
    """
    world = None if model_file is None else ElementTree.fromstring(model_file).find("worldbody")
    yaws: dict[str, float] = {}
    for camera in [] if world is None else world.findall("camera"):
        name, quaternion = camera.get("name"), camera.get("quat")
        if name is None or quaternion is None or camera.get("mode", "fixed") != "fixed":
            continue
        rotation = Rotation.from_quat(
            [float(number) for number in quaternion.split()], scalar_first=True
        )
        along, left, _ = rotation.apply([0.0, 0.0, -1.0])
        if math.hypot(along, left) > _LEVEL:
            yaws[name] = math.atan2(left, along)
    return yaws


def seen_from_camera(model_file: str | None) -> Rotation:
    """From right, away and up as the person sees them, to the world's axes.

    Away is the direction of the world's axes in which the camera `VIEW` looks. Without that camera,
    or where it looks straight down, the person stands behind the arm, and away is its x axis.
    """
    quarters = round(camera_yaws(model_file).get(VIEW, 0.0) / (math.pi / 2))
    return Rotation.from_euler("z", (quarters - 1) * math.pi / 2)
