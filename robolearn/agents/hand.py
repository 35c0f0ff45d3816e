"""The hand of one arm: where it is, and what moves it somewhere else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from robolearn.environments.task import HandController, SimTask
from robolearn.episodes.features import STATE
from robolearn.episodes.frames import Array, EpisodeContext, Observation
from robolearn.errors import ShelfError


@dataclass(frozen=True)
class Pose:
    """Of a hand, world frame.

    Attributes:
        position: (3,) m.
        rotation: from the hand's frame to the world's.
    """

    position: Array
    rotation: Rotation

    def moved(self, by: Array) -> Pose:
        """(3,) metres further, and not turned."""
        return Pose(self.position + by, self.rotation)

    def turned(self, yaw: float) -> Pose:
        """Turned about the vertical, radians."""
        return Pose(self.position, Rotation.from_rotvec([0.0, 0.0, yaw]) * self.rotation)

    def error(self, wanted: Pose) -> Array:
        """(6,) from this pose to another: x, y, z in m, and a rotation vector in rad."""
        turn: Array = (wanted.rotation * self.rotation.inv()).as_rotvec()
        return np.concatenate([wanted.position - self.position, turn])


class HandSensor:
    """Where the hand of one robot is, from what is observed.

    Args:
        robot: its number.
        context: of the environment.

    Raises:
        ShelfError: the hand is not observed.
    """

    def __init__(self, robot: int, context: EpisodeContext) -> None:
        self._position, self._quaternion = (
            f"{STATE}.robot{robot}_eef_{what}" for what in ("pos", "quat")
        )
        for name in (self._position, self._quaternion):
            if name not in context.features:
                raise ShelfError(
                    f"the expert needs {name.removeprefix(f'{STATE}.')} in [observation] state"
                )

    def pose(self, observation: Observation) -> Pose:
        """Where it is now."""
        return Pose(
            observation.values[self._position].astype(np.float64),
            Rotation.from_quat(observation.values[self._quaternion]),
        )


class Hand:
    """The hand of a task's only arm.

    Args:
        task: whose actions move a hand.
        context: of the environment.

    Raises:
        ShelfError: the actions move joints, there are several arms, or the hand is not observed.
    """

    def __init__(self, task: SimTask, context: EpisodeContext) -> None:
        controller = task.simulator.controller
        if not isinstance(controller, HandController) or len(task.simulator.robots) != 1:
            raise ShelfError("a hand is moved by the controller OSC_POSE, and by one arm")
        self._sensor = HandSensor(0, context)
        self._full = np.asarray(controller.limits(0))
        self._action = context.action

    def pose(self, observation: Observation) -> Pose:
        """Where it is."""
        return self._sensor.pose(observation)

    def action(self, way: Array, *, closed: bool, speed: float = 1.0) -> Array:
        """(A,) what moves it that way.

        Args:
            way: (6,) to go in this step: x, y, z in m, and a rotation vector in rad.
            closed: whether the gripper is closed, or opened.
            speed: the largest element of the arm's action, as a share of the full one.
        """
        action = np.empty(self._action.shape)
        action[list(self._action.arm)] = np.clip(way / self._full, -speed, speed)
        extremes = self._action.high if closed else self._action.low
        action[list(self._action.gripper)] = [extremes[index] for index in self._action.gripper]
        return action.astype(self._action.dtype)
