"""From where a limp arm was dragged to what its motors must be told to go there."""

from __future__ import annotations

import numpy as np

from robolearn.environments.arms.kinematics import joint_map, load_model
from robolearn.environments.arms.profile import Arm
from robolearn.environments.mujoco_import import mujoco
from robolearn.episodes.frames import Array


class DraggedTargets:
    """Targets at which driven motors hold an arm where a hand held it.

    A position-controlled motor of stiffness k answers with the torque k (target − q), so that the
    arm's weight g(q) pulls it below its target by g(q)/k. What is dragged is not pulled: so g(q)/k
    is added, and what the profile's ``[dragged]`` says of grippers. A target that moves is followed
    with a lag; of a hand nothing stays behind: so what a joint moves in that time is added, too.

    Args:
        arm: whose.

    Raises:
        ShelfError: the profile does not fit its model.
    """

    def __init__(self, arm: Arm) -> None:
        profile = arm.profile
        further = profile.dragged.further
        self._further = profile.factors * [further.get(name, 0.0) for name in profile.names]
        self._lag = profile.dragged.lag
        self._low, self._high = profile.si("low"), profile.si("high")
        self._stiffness = profile.dragged.stiffness
        if self._stiffness is not None:
            self._model = load_model(arm)
            self._data = mujoco.MjData(self._model)
            self._map = joint_map(arm, self._model)
        self(profile.si("home"), np.zeros(len(profile.joints)))  # all is compiled now

    def __call__(self, joints: Array, velocities: Array) -> Array:
        """Targets within the profile's limits.

        Args:
            joints: (J,) where they are; rad, m and shares.
            velocities: (J,) how they move; a second.

        Returns:
            (J,).
        """
        targets = joints + self._further + self._lag * velocities
        if self._stiffness is not None:
            self._map.write(joints, self._data.qpos)
            mujoco.mj_forward(self._model, self._data)
            weight = self._map.signs * self._data.qfrc_bias[self._map.velocities]
            targets[self._map.known] += weight / self._stiffness
        within: Array = np.clip(targets, self._low, self._high)
        return within
