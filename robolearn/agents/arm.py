"""One arm of the scripted expert: how far its hand is from where a waypoint wants it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from robolearn.agents.hand import HandSensor, Pose
from robolearn.agents.variation import HumanVariation, across
from robolearn.environments.expert import Expert, Waypoint
from robolearn.episodes.features import ENVIRONMENT_STATE
from robolearn.episodes.frames import Array, EpisodeContext, Observation
from robolearn.errors import DatasetError, ShelfError

_FURTHEST_TURN = 1.6
"""Radians from where it began that a hand may be turned if it can choose: joints have limits."""

_BESIDE = 0.12
"""Metres within which fingers can hit what stands beside."""

_DOWN = Rotation.from_rotvec([np.pi, 0.0, 0.0])
"""A hand that points straight down."""


@dataclass(frozen=True)
class Remaining:
    """What is left of the way to a waypoint.

    Attributes:
        error: (6,) the hand's way in the frame of its base: x, y, z in m, rotation vector in rad.
        distance: metres from the waypoint, of what is to reach it.
        across: the same but for up and down, at the closest so far.
        angle: radians from the waypoint.
        lost: the object to be moved is not in the hand.
    """

    error: Array
    distance: float
    across: float
    angle: float
    lost: bool


class Arm:
    """Where one hand is to go, from what is observed.

    Args:
        robot: number of the arm.
        expert: whose waypoints it follows.
        context: of the environment.

    Raises:
        ShelfError: the arm has no waypoint, or the observations lack what one needs.
    """

    def __init__(self, robot: int, expert: Expert, context: EpisodeContext) -> None:
        self.waypoints = tuple(w for w in expert.waypoints if w.robot == robot)
        if not self.waypoints:
            raise ShelfError(f"the expert has no waypoint for robot {robot}")
        self._symmetry = expert.symmetry
        self._lost = expert.lost
        yaw = expert.base_yaw[robot] if expert.base_yaw else 0.0
        self._base = Rotation.from_rotvec([0.0, 0.0, yaw]) if yaw else None
        self._hand = HandSensor(robot, context)
        self._objects: dict[str, tuple[list[int], list[int]]] = {}
        for waypoint in self.waypoints:
            if waypoint.align and waypoint.tilt is not None:
                raise ShelfError(
                    f"the waypoint {waypoint.name!r} has align and tilt: an orientation is one or "
                    "the other"
                )
            self._find_objects(waypoint, context)
        self._home: float | None = None

    def forget(self) -> None:
        """Forget the last episode."""
        self._home = None

    def begin(
        self,
        waypoint: Waypoint,
        observation: Observation,
        variation: HumanVariation,
        choice: float,
    ) -> None:
        """Set out for a waypoint from what is observed now.

        Args:
            waypoint: to go to.
            observation: made now.
            variation: of this episode.
            choice: among the waypoint's alternatives, from 0 to below 1.
        """
        hand = self._hand.pose(observation)
        if self._home is None:
            self._home = _yaw(hand.rotation)
        moved = self._pose(waypoint.moves, observation) if waypoint.moves else hand
        reference = (
            hand
            if waypoint.relative_to == "hand"
            else self._pose(waypoint.relative_to, observation)
        )
        offsets = (waypoint.offset, *waypoint.alternatives)
        offset = np.asarray(offsets[int(choice * len(offsets))])
        if waypoint.frame == "object":
            offset = reference.rotation.apply(offset)
        goal = reference.position + offset
        way = goal - moved.position
        turn = 0.0
        if waypoint.align:
            turn = _yaw(reference.rotation) + waypoint.turn - _yaw(moved.rotation)
            turns = self._equivalent_turns(
                turn, waypoint.symmetry or self._symmetry, _yaw(hand.rotation) - self._home
            )
            turn = turns[0 if waypoint.moves else variation.which(len(turns), way)]
            if waypoint.clear_of is not None:
                beside = self._pose(waypoint.clear_of, observation).position - goal
                turn = min(turns, key=lambda each: _opening_towards(beside, each, hand))
        if waypoint.tilt is not None:
            rotation = Rotation.from_rotvec(waypoint.tilt) * _DOWN
        elif waypoint.moves and waypoint.align:
            # Upright, however it hangs in the hand.
            rotation = Rotation.from_rotvec([0.0, 0.0, turn + _yaw(moved.rotation)])
        else:
            rotation = Rotation.from_rotvec([0.0, 0.0, turn]) * hand.rotation
        self._goal = Pose(goal, rotation)
        self._closest = across(way)
        self._moves = waypoint.moves
        self._turns_moved = waypoint.moves is not None and waypoint.align
        through = variation.detour(way)
        self._through = None if through is None else moved.position + through
        self._near = float(np.linalg.norm(way)) / 4

    def remaining(self, observation: Observation) -> Remaining:
        """How far it is to the waypoint that was begun."""
        hand = self._hand.pose(observation)
        moved = self._pose(self._moves, observation) if self._moves else hand
        turned = moved if self._turns_moved else hand
        turn = self._goal.rotation * turned.rotation.inv()
        rotation = turn.as_rotvec()
        way = to_waypoint = self._goal.position - moved.position
        self._closest = min(self._closest, across(to_waypoint))
        if self._through is not None:
            way = self._through - moved.position
            if np.linalg.norm(way) < self._near:
                self._through = None
        lever = hand.position - moved.position
        if self._turns_moved:
            # The hand swings around what it turns.
            way = way + turn.apply(lever) - lever
        return Remaining(
            error=self._in_base_frame(way, rotation),
            distance=float(np.linalg.norm(to_waypoint)),
            across=self._closest,
            angle=float(np.linalg.norm(rotation)),
            lost=float(np.linalg.norm(lever)) > self._lost,
        )

    def stand(self, observation: Observation) -> None:
        """Take where the hand is now for where `standing` holds it."""
        self._stand = self._hand.pose(observation)

    def standing(self, observation: Observation) -> Array:
        """(6,) the way back to where it was to stand, as `Remaining.error`."""
        hand = self._hand.pose(observation)
        turn = self._stand.rotation * hand.rotation.inv()
        return self._in_base_frame(self._stand.position - hand.position, turn.as_rotvec())

    def _in_base_frame(self, way: Array, rotation: Array) -> Array:
        if self._base is not None:
            way, rotation = self._base.inv().apply([way, rotation])
        return np.concatenate([way, rotation])

    def _equivalent_turns(self, turn: float, symmetry: float, from_home: float) -> list[float]:
        """Turns that end the same, those first that are small and lead back to the beginning."""
        least = (turn + symmetry / 2) % symmetry - symmetry / 2
        from_home = (from_home + np.pi) % (2 * np.pi) - np.pi
        turns = [least, least - symmetry, least + symmetry]
        turns.sort(key=lambda each: abs(each) + abs(from_home + each) / 2)
        return turns[:1] + [each for each in turns[1:2] if abs(from_home + each) <= _FURTHEST_TURN]

    def _pose(self, name: str, observation: Observation) -> Pose:
        if name == "world":
            return Pose(np.zeros(3), Rotation.identity())
        state = observation.values[ENVIRONMENT_STATE].astype(np.float64)
        position, quaternion = self._objects[name]
        rotation = Rotation.from_quat(state[quaternion]) if quaternion else Rotation.identity()
        return Pose(state[position], rotation)

    def _find_objects(self, waypoint: Waypoint, context: EpisodeContext) -> None:
        needed = [(waypoint.moves, waypoint.align)]
        if waypoint.clear_of is not None:
            needed.append((waypoint.clear_of, False))
        if waypoint.relative_to not in ("world", "hand"):
            needed.append((waypoint.relative_to, waypoint.align or waypoint.frame == "object"))
        objects = context.features[ENVIRONMENT_STATE]
        for name, rotates in needed:
            if name is None:
                continue
            found: dict[str, list[int]] = {}
            for what in ("pos", "quat"):
                try:
                    found[what] = objects.indices(f"{name}_{what}")
                except DatasetError as error:
                    found[what] = []
                    if what == "pos" or rotates:
                        raise ShelfError(
                            f"the waypoint {waypoint.name!r} needs {name}_{what} in [observation] "
                            "objects"
                        ) from error
            self._objects[name] = found["pos"], found["quat"]


def _opening_towards(beside: Array, turn: float, hand: Pose) -> float:
    """How much a hand that is turned opens its fingers, along its y axis, towards what is beside.

    Args:
        beside: (3,) the way there, m.
        turn: about the vertical, rad.
        hand: before it is turned.

    Returns:
        0 across that way to 1 along it; 0 where nothing is near.
    """
    distance = across(beside)
    if distance > _BESIDE:
        return 0.0
    fingers = (Rotation.from_rotvec([0.0, 0.0, turn]) * hand.rotation).apply([0.0, 1.0, 0.0])
    return float(abs(fingers[:2] @ beside[:2]) / max(distance, 1e-9))


def _yaw(rotation: Rotation) -> float:
    """Angle about the vertical of the body's x axis, seen from above, rad."""
    x_axis = rotation.apply([1.0, 0.0, 0.0])
    return float(np.arctan2(x_axis[1], x_axis[0]))
