"""The compiled world: a table, a cube, the follower, and the leader beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from robolearn.environments.rendering import select_gl
from robolearn.shelf import shelf_folder

if TYPE_CHECKING:
    import mujoco

JOINTS = (
    "shoulder_pan",
    "shoulder_lift",
    "elbow_flex",
    "wrist_flex",
    "wrist_roll",
    "gripper",
)
"""In the order of the servos' numbers, 1 to 6."""

CAMERAS = {"front": "front", "wrist": "follower/wrist"}
"""What the model calls each camera."""

ARM_FILE = shelf_folder("real") / "so101.xml"
"""MJCF of the arm alone, for kinematics: joints as `JOINTS`, zeros as LeRobot's, site ``grasp``."""

CUBE_HALF = 0.015
"""Metres; also the height of the cube's centre when it lies on the table."""

_SCENE_FILE = Path(__file__).with_name("scene.xml")
_LEADER_AT = (0.0, 0.7, 0.0)
_NOT_DRAWN = 2


def world_model() -> mujoco.MjModel:
    """Both arms by their names, ``follower/…`` and ``leader/…``; cameras do not see the leader."""
    select_gl()
    import mujoco

    spec = mujoco.MjSpec.from_file(str(_SCENE_FILE))
    for name, place in (("follower", (0.0, 0.0, 0.0)), ("leader", _LEADER_AT)):
        arm = mujoco.MjSpec.from_file(str(ARM_FILE))
        if name == "leader":
            for geom in arm.geoms:
                geom.group = _NOT_DRAWN
        frame = spec.worldbody.add_frame(pos=place)
        frame.attach_body(arm.body("base"), f"{name}/", "")
    return spec.compile()


def arm_model() -> mujoco.MjModel:
    """The arm alone, its base at the origin and x ahead of it."""
    select_gl()
    import mujoco

    return mujoco.MjModel.from_xml_path(str(ARM_FILE))
