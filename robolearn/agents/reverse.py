"""Demonstrations without a demonstrator: placing an object, played backwards, is picking it up.

After "Time reversal as self-supervision" (Nair et al. 2018): putting an object down somewhere is
easy once it is held, and its way back ends with the object in the hand. The places are drawn, so
that they cover more than the simulator's own resets do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from robolearn.agents.agent import Agent
from robolearn.agents.hand import Hand, Pose
from robolearn.agents.scripted import ScriptedExpert
from robolearn.environments.environment import Environment
from robolearn.environments.expert import Expert
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import Reverse, SimTask
from robolearn.episodes.features import ENVIRONMENT_STATE
from robolearn.episodes.frames import Array, EpisodeContext, Observation
from robolearn.errors import DatasetError, ShelfError

_MOST_STEPS = 100
"""Control steps for one piece of the way; more mean that something is in the way."""

_HOLDING_STEPS = 6
"""For the fingers to close or to open."""

_HEIGHT = 0.12
"""In which an object is carried above where it stands, m."""

_LEAST_RISE = np.array([-0.02, -0.02, 0.05])
_MOST_RISE = np.array([0.02, 0.02, 0.12])
"""Where the hand goes from the object that it let go, m."""

_SPEED = (0.7, 1.0)
"""Range of the largest action while placing, as a share of the full one."""

_PLACED = 0.02
"""How far from its place an object may come to rest, m."""

_GAIN = 0.5
_AHEAD = 6
"""Control steps that a hand lags behind what it is asked for: so that is asked for ahead."""

_FOLLOWING = 0.08
_ARRIVED = 0.01
"""How near the hand is to what it is asked for before it goes on: on the way, and where the gripper
opens or closes, m."""


@dataclass(frozen=True)
class Waymark:
    """Where the hand was in one control step, and whether it was to be closed."""

    pose: Pose
    closed: bool


class PlacedObject(Environment):
    """A task that begins with its object at a random place, put there by the arm itself.

    `reset` resets the task, lets its expert grasp the object, carries that to a place drawn from
    the seed, lets go, and withdraws by a random way to about where the hand was after the reset.
    There the episode begins, at time zero. Where the placing failed, the episode has failed
    before its first step.

    Args:
        task: with ``[reverse]`` and with an expert, whose waypoints up to the first closing of the
            gripper are used.
        environment: of the task.
        agent: is told the way of the hand, from above the place to where it withdrew.

    Raises:
        ShelfError: the task has no ``[reverse]`` or no expert, or does not observe the object.
    """

    def __init__(self, task: SimTask, environment: RobosuiteEnvironment, agent: Retracing) -> None:
        self._reverse, expert = _required(task)
        self._environment = environment
        self._agent = agent
        context = environment.context
        self._hand = Hand(context)
        objects = context.features[ENVIRONMENT_STATE]
        try:
            self._object = objects.indices(f"{self._reverse.object}_pos")
        except DatasetError as error:
            raise ShelfError(
                f"[reverse] needs {self._reverse.object}_pos in [observation] objects"
            ) from error
        self._symmetry = expert.symmetry
        self._expert = ScriptedExpert(replace(task, expert=_until_grasp(expert)), context)
        self._placed = False

    @property
    def context(self) -> EpisodeContext:
        return self._environment.context

    @property
    def horizon(self) -> int:
        return self._environment.horizon

    def reset(self, seed: int) -> None:
        self._environment.reset(seed)
        self._expert.reset(seed)
        way = self._place(np.random.default_rng([seed, 1]))
        self._placed = way is not None
        self._environment.begin_here()
        self._agent.follow(way or ())

    def observe(self) -> Observation:
        observation = self._environment.observe()
        return observation if self._placed else replace(observation, success=False, failed=True)

    def act(self, action: Array) -> Array:
        return self._environment.act(action)

    def close(self) -> None:
        self._environment.close()

    def _place(self, random: np.random.Generator) -> tuple[Waymark, ...] | None:
        """Put the object somewhere else.

        Returns:
            The way from above that place on; None where the object is not there.
        """
        begun = self._pose()
        if not self._grasp():
            return None
        grasped, stood = self._pose(), self._object_position()
        place = np.array([random.uniform(*self._reverse.x), random.uniform(*self._reverse.y)])
        speed = random.uniform(*_SPEED)
        most = min(self._symmetry, np.pi / 2) / 2
        placing = Pose(np.array([*place, grasped.position[2]]), begun.rotation)
        placing = placing.turned(random.uniform(-most, most))
        above = np.array([0.0, 0.0, _HEIGHT])
        for pose in (grasped.moved(above), placing.moved(above)):
            list(self._go(pose, closed=True, speed=speed))
        rising = placing.moved(random.uniform(_LEAST_RISE, _MOST_RISE))
        back = begun.moved(random.uniform(-0.03, 0.03, 3)).turned(random.uniform(-0.1, 0.1))
        middle = (rising.position + back.position) / 2 + random.uniform(-0.04, 0.04, 3)
        down = [*self._go(placing, closed=True, speed=speed), *self._stay(closed=True)]
        # No part of the way: a hand that waits before it grasps shows nobody when to grasp.
        list(self._stay(closed=False))
        way = (
            *down,
            *self._go(rising, closed=False, speed=speed, near=0.02),
            *self._go(Pose(middle, back.rotation), closed=False, speed=speed, near=0.03),
            *self._go(back, closed=False, speed=speed, near=0.02),
        )
        rests = self._object_position()
        withdrawn = np.linalg.norm(self._pose().error(back)[:3]) < 2 * _PLACED
        there = np.linalg.norm(rests[:2] - place) < _PLACED
        stands = abs(rests[2] - stood[2]) < _PLACED / 2
        return way if withdrawn and there and stands else None

    def _grasp(self) -> bool:
        """Let the expert grasp the object; whether the gripper was closed."""
        closing = 0
        for _ in range(_MOST_STEPS):
            action = self._expert.act(self._sensed())
            self._environment.act(action)
            gripper = list(self.context.action.gripper)
            closing += bool((action[gripper] > 0).all())
            if closing == _HOLDING_STEPS:
                return True
        return False

    def _go(
        self, wanted: Pose, *, closed: bool, speed: float, near: float = 0.01
    ) -> Iterator[Waymark]:
        for _ in range(_MOST_STEPS):
            way = self._pose().error(wanted)
            if np.linalg.norm(way[:3]) < near and np.linalg.norm(way[3:]) < 10 * near:
                return
            self._environment.act(self._hand.action(_GAIN * way, closed=closed, speed=speed))
            yield Waymark(self._pose(), closed)

    def _stay(self, *, closed: bool) -> Iterator[Waymark]:
        wanted = self._pose()
        for _ in range(_HOLDING_STEPS):
            way = self._pose().error(wanted)
            self._environment.act(self._hand.action(_GAIN * way, closed=closed))
            yield Waymark(self._pose(), closed)

    def _sensed(self) -> Observation:
        """Without images, which nobody needs before the episode begins."""
        return Observation(self._environment.vectors(), {}, 0.0)

    def _pose(self) -> Pose:
        return self._hand.pose(self._sensed())

    def _object_position(self) -> Array:
        state = self._environment.vectors()[ENVIRONMENT_STATE]
        return state[self._object].astype(np.float64)


class Retracing(Agent):
    """Goes the way of a placing hand backwards, and so picks the object up.

    Where the hand closed it opens and the other way round. It follows the recorded poses and not
    the recorded actions: it goes on along the way only while it is near it.

    Args:
        task: with ``[reverse]``, and with an expert, whose noise and speed it has.
        context: of the environment that it drives.

    Raises:
        ShelfError: the task has no ``[reverse]`` or no expert, or its hand is not observed.
    """

    def __init__(self, task: SimTask, context: EpisodeContext) -> None:
        _, self._expert = _required(task)
        self._hand = Hand(context)
        self._arm = list(context.action.arm)
        self._way: tuple[Waymark, ...] = ()
        self.reset(seed=0)

    def follow(self, way: tuple[Waymark, ...]) -> None:
        """Go this way backwards from the next `reset` on."""
        self._way = way[::-1]

    def reset(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._speed = self._random.uniform(*self._expert.speed)
        self._place = 0

    def act(self, observation: Observation) -> Array:
        here = self._hand.pose(observation)
        now, aim = self._way[self._place], self._aim()
        way = here.error(aim.pose)
        action = self._hand.action(way, closed=now.closed, speed=self._speed)
        action[self._arm] += self._expert.noise * self._random.standard_normal(len(self._arm))
        if np.linalg.norm(way[:3]) < (_FOLLOWING if aim is not now else _ARRIVED):
            self._place = min(self._place + 1, len(self._way) - 1)
        return action

    def _aim(self) -> Waymark:
        """What lies ahead on the way, but not beyond where the gripper opens or closes."""
        ahead = self._way[self._place : self._place + _AHEAD + 1]
        return [mark for mark in ahead if mark.closed == ahead[0].closed][-1]


def _required(task: SimTask) -> tuple[Reverse, Expert]:
    if task.expert is None:
        raise ShelfError("the task has no [expert], which grasps the object first")
    if task.reverse is None:
        raise ShelfError(
            "the task has no [reverse]: only what is accomplished by picking up an object, as in "
            "sim:lift, can be demonstrated in reverse"
        )
    if len(task.simulator.robots) != 1:
        raise ShelfError("[reverse] is of a task with one arm, which places the object")
    return task.reverse, task.expert


def _until_grasp(expert: Expert) -> Expert:
    """The waypoints up to the first where the gripper closes."""
    grippers = [waypoint.gripper for waypoint in expert.waypoints]
    if "close" not in grippers:
        raise ShelfError("[reverse] needs a waypoint in [expert] where the gripper closes")
    return replace(expert, waypoints=expert.waypoints[: grippers.index("close") + 1])
