"""The hand of one arm: where it is, and what moves it somewhere else."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
from scipy.spatial.transform import Rotation

from robolearn.episodes.features import STATE, ActionFeature
from robolearn.episodes.frames import Array, EpisodeContext, Observation
from robolearn.errors import ShelfError

HAND = ("x", "y", "z", "rx", "ry", "rz")
"""Elements of an action that move a hand, after the robot's name where there are several."""


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
                    "where the hand is must be observed: "
                    f"{name.removeprefix(f'{STATE}.')} in [observation] state"
                )

    def pose(self, observation: Observation) -> Pose:
        """Where it is now."""
        return Pose(
            observation.values[self._position].astype(np.float64),
            Rotation.from_quat(observation.values[self._quaternion]),
        )


class Hand:
    """The hand of one arm, of those that an environment's actions move.

    Args:
        context: of the environment.
        robot: number of the arm.

    Raises:
        ShelfError: the actions do not move this hand, or it is not observed.
    """

    def __init__(self, context: EpisodeContext, robot: int = 0) -> None:
        self._action = context.action
        names, prefix = context.action.names or (), _prefix(context.action, robot)
        if prefix is None or not context.action.scale:
            raise ShelfError(
                "a hand is moved by actions x, y, z, rx, ry, rz (a task with the controller "
                f"OSC_POSE, an arm with [pose]), and here they are {', '.join(names)}"
            )
        self._sensor = HandSensor(robot, context)
        self._moving = [names.index(f"{prefix}{name}") for name in HAND]
        self._gripping = [i for i in context.action.gripper if names[i].startswith(prefix)]
        self._full = np.array([context.action.scale[index] for index in self._moving])
        self._base = _base(context.model_file, robot)

    @property
    def full(self) -> Array:
        """(6,) the way that an action of 1 asks for: m, then rad."""
        return self._full

    def pose(self, observation: Observation) -> Pose:
        """Where it is."""
        return self._sensor.pose(observation)

    def put(self, action: Array, way: Array, *, closed: bool, speed: float = 1.0) -> None:
        """Write what moves it that way into an action.

        Args:
            action: (A,) of which only this hand's elements are written.
            way: (6,) to go in this step: x, y, z in m, and a rotation vector in rad, both along the
                world's axes.
            closed: whether the gripper is closed, or opened.
            speed: the largest element of the arm's action, as a share of the full one.
        """
        if self._base is not None:
            way = self._base.inv().apply(way.reshape(2, 3)).ravel()
        action[self._moving] = np.clip(way / self._full, -speed, speed)
        extremes = self._action.high if closed else self._action.low
        action[self._gripping] = [extremes[index] for index in self._gripping]

    def action(self, way: Array, *, closed: bool, speed: float = 1.0) -> Array:
        """(A,) what moves this hand and nothing else; see `put`."""
        action = np.zeros(self._action.shape)
        self.put(action, way, closed=closed, speed=speed)
        return action.astype(self._action.dtype)


def hands_of(context: EpisodeContext) -> tuple[Hand, ...]:
    """All hands that an environment's actions move, in the order of the robots.

    Raises:
        ShelfError: there is none, or one is not observed.
    """
    robots = itertools.takewhile(
        lambda robot: _prefix(context.action, robot) is not None, itertools.count(1)
    )
    return tuple(Hand(context, robot) for robot in (0, *robots))


def _prefix(action: ActionFeature, robot: int) -> str | None:
    """What the names of a robot's elements begin with; None where it has no hand to move."""
    names = set(action.names or ())
    for prefix in (f"robot{robot}_", *[""] * (robot == 0)):
        if names.issuperset(f"{prefix}{name}" for name in HAND):
            return prefix
    return None


def _base(model_file: str | None, robot: int) -> Rotation | None:
    """How a simulated robot's base stands in the world, which its actions are along the axes of."""
    if model_file is None:
        return None
    for body in ElementTree.fromstring(model_file).iter("body"):
        if body.get("name") == f"robot{robot}_base":
            quaternion = [float(number) for number in body.get("quat", "1 0 0 0").split()]
            return Rotation.from_quat(quaternion, scalar_first=True)
    return None
