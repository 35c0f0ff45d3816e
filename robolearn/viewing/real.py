"""A real arm as its joints were, in the model that its profile names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from robolearn.environments.rendering import select_gl
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import STATE
from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.errors import MissingDependency, ShelfError, SimulationError
from robolearn.viewing.world import World

_JOINTS_OF_POSE = f"{STATE}.robot0_joint_pos"
"""What an arm whose actions move the tool tells of its joints."""


class RealWorld(World):
    """The arm of a profile on the shelf ``real/``, moved through recorded joints.

    Args:
        context: of an episode that was recorded on an arm.

    Raises:
        MissingDependency: what reads the model is not installed.
        SimulationError: the context names no arm, or its profile has no model that fits.
    """

    def __init__(self, context: EpisodeContext) -> None:
        target = arm_of(context)
        if target is None:
            raise SimulationError("the episodes name no arm")
        select_gl()  # mujoco cannot be imported with a GL backend that is not there
        try:
            from robolearn.environments.arms.kinematics import joint_map, load_model
            from robolearn.environments.arms.profile import load_arm
            from robolearn.environments.safety.geometry import tool_of
        except ImportError as error:
            raise MissingDependency(
                f"the arm's shape needs its model's libraries ({error}): "
                "pip install 'robolearn[real]'"
            ) from error
        try:
            arm = load_arm(target)
            model = load_model(arm)
            if model is None or arm.profile.model is None:
                raise SimulationError(f"the profile {target} has no [model] of the arm")
            self._joints = joint_map(arm, model)
        except ShelfError as error:
            raise SimulationError(str(error)) from error
        super().__init__(model)
        self._tool_is_site, self._tool = tool_of(model, arm.profile.model.tool)
        self._home = arm.profile.si("home")
        names = arm.profile.names
        pose = arm.profile.pose
        # Which joints of the profile the observed vector holds, in order.
        self._feature = STATE if pose is None else _JOINTS_OF_POSE
        self._observed = [i for i, name in enumerate(names) if pose is None or name != pose.gripper]
        feature = context.features.get(self._feature)
        if feature is None or feature.shape != (len(self._observed),):
            raise SimulationError(f"the episodes hold other joints than the profile {target}")
        self.moves_joints = pose is None

    def positions(self, episode: Episode) -> Array:
        return self._placed(episode.observations[self._feature])

    def tool(self, joints: Array) -> Array:
        """Where the tool is.

        Args:
            joints: (T, J) as they are observed, rad, m and shares.

        Returns:
            (T, 3) m, in the frame of the model.
        """
        import mujoco

        found = np.empty((len(joints), 3))
        for frame, row in enumerate(self._placed(joints)):
            self._data.qpos[:] = row
            mujoco.mj_kinematics(self.model, self._data)
            places: Any = self._data.site_xpos if self._tool_is_site else self._data.xpos
            found[frame] = places[self._tool]
        return found

    def hand(self, episode: Episode) -> Array:
        """(T, 3) where the tool was, m."""
        return self.tool(episode.observations[self._feature])

    def _placed(self, joints: Array) -> Array:
        """(T, nq) positions of the model for (T, J) observed joints."""
        rows = np.tile(self.model.qpos0, (len(joints), 1))
        for row, seen in zip(rows, joints, strict=True):
            if self.moves_joints:
                whole = self._home.copy()
                whole[self._observed] = seen
                self._joints.write(whole, row)
            else:
                row[self._joints.addresses[: len(seen)]] = seen
        return rows


def arm_of(context: EpisodeContext) -> str | None:
    """The profile that an episode was recorded with, ``real:NAME``; None where it names none."""
    arguments = context.env_args.get("env_kwargs")
    target = arguments.get("target") if isinstance(arguments, Mapping) else None
    return target if isinstance(target, str) and target.startswith("real:") else None
