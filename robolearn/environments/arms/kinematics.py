"""An arm's model in MuJoCo: for the supervisor, for poses of the tool, and for the way there."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from robolearn.environments.arms.profile import Arm
from robolearn.environments.arms.units import ANGLES
from robolearn.environments.mujoco_import import mujoco
from robolearn.environments.safety.geometry import Geometry, JointMap, Workspace, tool_of
from robolearn.environments.safety.limiter import JointLimits
from robolearn.environments.safety.supervisor import Supervisor
from robolearn.episodes.frames import Array
from robolearn.errors import ShelfError


def load_model(arm: Arm) -> Any:
    """MuJoCo's model of an arm, MJCF or URDF; None where the profile has none.

    Raises:
        ShelfError: its file is missing or broken.
    """
    path = arm.model_path
    if path is None:
        return None
    if not path.is_file():
        raise ShelfError(f"{arm.path}: there is no model {path}")
    try:
        return mujoco.MjModel.from_xml_path(str(path))
    except ValueError as error:
        raise ShelfError(
            f"{path}: MuJoCo cannot read it: {' '.join(str(error).split())}"
        ) from error


def joint_map(arm: Arm, model: Any) -> JointMap:
    """The arm's joints in its model.

    Raises:
        ShelfError: the model lacks a joint, or the limits lie outside of the model's own.
    """
    profile = arm.profile
    names = [joint.model for joint in profile.joints]
    signs = [float(joint.sign) for joint in profile.joints]
    try:
        joints = JointMap(model, names, signs, [joint.zero for joint in profile.joints])
        if profile.model is not None:
            tool_of(model, profile.model.tool)
    except ValueError as error:
        raise ShelfError(f"{arm.path}: {error}") from error
    return joints


def joint_limits(arm: Arm) -> JointLimits:
    """What the profile permits its joints, in rad, m and shares."""
    profile = arm.profile
    velocity = profile.si("velocity")
    steps = [
        fastest / profile.rate if joint.step is None else joint.step * joint.factor
        for joint, fastest in zip(profile.joints, velocity, strict=True)
    ]
    return JointLimits(
        low=profile.si("low"),
        high=profile.si("high"),
        velocity=velocity,
        acceleration=profile.si("acceleration"),
        jerk=profile.si("jerk"),
        step=np.array(steps) * (1 + 1e-9),
    )


def make_supervisor(arm: Arm) -> Supervisor:
    """The supervisor that a profile asks for.

    Raises:
        ShelfError: the model does not fit the profile.
    """
    profile, dt = arm.profile, 1 / arm.profile.rate
    model = load_model(arm)
    geometry = None
    if model is not None and profile.workspace is not None and profile.model is not None:
        limits = profile.workspace
        planes = np.array([[*plane.normal, plane.offset] for plane in limits.planes])
        if len(planes):
            planes[:, :3] /= np.linalg.norm(planes[:, :3], axis=1, keepdims=True)
        workspace = Workspace(
            low=np.array(limits.low or ()),
            high=np.array(limits.high or ()),
            planes=planes,
            tool_speed=limits.tool_speed,
            self_collision=limits.self_collision,
        )
        joints = joint_map(arm, model)
        geometry = Geometry(model, joints, profile.model.tool, workspace, dt)
    # What moves the tool; a gripper, which closes meanwhile, holds up nothing.
    together = np.array(
        [joint.unit in ANGLES or joint.model is not None for joint in profile.joints]
    )
    return Supervisor(joint_limits(arm), dt, geometry, together)


class ToolKinematics:
    """Where an arm's tool is for its joints.

    Args:
        arm: whose profile has ``[model]``.

    Raises:
        ShelfError: it has none, or that does not fit the profile.
    """

    def __init__(self, arm: Arm) -> None:
        model, described = load_model(arm), arm.profile.model
        if model is None or described is None:
            raise ShelfError(f"{arm.path}: where the tool is needs [model] in the profile")
        self._joints = joint_map(arm, model)
        self._model, self._data = model, mujoco.MjData(model)
        self._is_site, self._number = tool_of(model, described.tool)

    def pose(self, joints: Array) -> tuple[Array, Rotation]:
        """Position, m, and rotation in the model's frame, for (J,) joints in rad, m and shares."""
        data = self._data
        self._joints.write(np.ascontiguousarray(joints, np.float64), data.qpos)
        mujoco.mj_kinematics(self._model, data)
        places = (data.site_xpos, data.site_xmat) if self._is_site else (data.xpos, data.xmat)
        position, matrix = (values[self._number].copy() for values in places)
        return position, Rotation.from_matrix(matrix.reshape(3, 3))
