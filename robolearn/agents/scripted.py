"""The scripted expert: a hand that goes from waypoint to waypoint."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from robolearn.agents.agent import Agent
from robolearn.environments.task import Expert, SimTask, Waypoint
from robolearn.episodes.features import ENVIRONMENT_STATE, STATE, ActionFeature, Feature
from robolearn.episodes.frames import Array, EpisodeContext, Observation
from robolearn.errors import DatasetError, ShelfError

_HAND_POSITION = f"{STATE}.robot0_eef_pos"
_HAND_QUATERNION = f"{STATE}.robot0_eef_quat"


class ScriptedExpert(Agent):
    """Moves the hand through the waypoints of a task.

    It sees what a policy sees, and no more.

    Args:
        task: with an expert.
        context: of the environment that it drives.

    Raises:
        ShelfError: the task has no expert, or the observations lack what a waypoint refers to.
    """

    def __init__(self, task: SimTask, context: EpisodeContext) -> None:
        if task.expert is None:
            raise ShelfError("the task has no [expert]: add waypoints to its file")
        self._expert: Expert = task.expert
        self._full_action = np.asarray(task.simulator.controller.limits(0))
        self._action: ActionFeature = context.action
        for name in (_HAND_POSITION, _HAND_QUATERNION):
            if name not in context.features:
                raise ShelfError(
                    f"the expert needs {name.removeprefix(f'{STATE}.')} in [observation]"
                )
        objects = context.features[ENVIRONMENT_STATE]
        self._object_poses = {
            waypoint: _pose_indices(objects, waypoint) for waypoint in self._expert.waypoints
        }
        self.reset(seed=0)

    def reset(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._speed = self._random.uniform(*self._expert.speed)
        choosing = any(waypoint.alternatives for waypoint in self._expert.waypoints)
        self._choice = self._random.random() if choosing else 0.0
        self._next = 0
        self._waited = 0
        self._goal: tuple[Array, Rotation] | None = None

    def act(self, observation: Observation) -> Array:
        position = observation.values[_HAND_POSITION].astype(np.float64)
        orientation = Rotation.from_quat(observation.values[_HAND_QUATERNION])
        waypoint = self._expert.waypoints[self._next]
        if self._goal is None:
            self._goal = self._goal_of(waypoint, observation, orientation)
        goal_position, goal_orientation = self._goal
        error = np.concatenate(
            [goal_position - position, (goal_orientation * orientation.inv()).as_rotvec()]
        )
        arm = np.clip(self._expert.gain * error / self._full_action, -self._speed, self._speed)
        arm += self._expert.noise * self._random.standard_normal(arm.shape)

        self._advance(waypoint, float(np.linalg.norm(error[:3])))

        action = np.empty(self._action.shape, np.float32)
        action[list(self._action.arm)] = arm
        extremes = self._action.high if waypoint.gripper == "close" else self._action.low
        action[list(self._action.gripper)] = [extremes[index] for index in self._action.gripper]
        return np.clip(action, self._action.low, self._action.high).astype(np.float32)

    def _advance(self, waypoint: Waypoint, distance: float) -> None:
        if distance > waypoint.tolerance or self._next + 1 == len(self._expert.waypoints):
            return
        if self._waited < waypoint.wait:
            self._waited += 1
            return
        self._next += 1
        self._waited = 0
        self._goal = None

    def _goal_of(
        self, waypoint: Waypoint, observation: Observation, hand: Rotation
    ) -> tuple[Array, Rotation]:
        """Position and orientation of the hand, world frame."""
        state = observation.values[ENVIRONMENT_STATE].astype(np.float64)
        position_indices, quaternion_indices = self._object_poses[waypoint]
        offsets = (waypoint.offset, *waypoint.alternatives)
        offset = offsets[int(self._choice * len(offsets))]
        goal = state[position_indices] + np.asarray(offset)
        turn = 0.0
        if waypoint.align:
            turn = _yaw(Rotation.from_quat(state[quaternion_indices])) - _yaw(hand)
            symmetry = self._expert.symmetry
            turn = (turn + symmetry / 2) % symmetry - symmetry / 2
        return goal, Rotation.from_rotvec([0.0, 0.0, turn]) * hand


def _pose_indices(objects: Feature, waypoint: Waypoint) -> tuple[list[int], list[int]]:
    name = waypoint.relative_to
    needed = [f"{name}_pos", f"{name}_quat"] if waypoint.align else [f"{name}_pos"]
    try:
        position, *quaternion = (objects.indices(observable) for observable in needed)
    except DatasetError as error:
        raise ShelfError(
            f"a waypoint is relative to {name!r}, which needs {' and '.join(needed)} in "
            "[observation] objects"
        ) from error
    return position, quaternion[0] if quaternion else []


def _yaw(rotation: Rotation) -> float:
    """Angle about the vertical of the body's x axis, seen from above, rad."""
    x_axis = rotation.apply([1.0, 0.0, 0.0])
    return float(np.arctan2(x_axis[1], x_axis[0]))
