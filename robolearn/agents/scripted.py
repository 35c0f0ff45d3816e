"""The scripted expert: hands that go from waypoint to waypoint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robolearn.agents.agent import Agent
from robolearn.agents.arm import Arm, Remaining
from robolearn.agents.variation import HumanVariation
from robolearn.environments.expert import VariationName, Waypoint
from robolearn.environments.task import HandController, SimTask
from robolearn.episodes.features import ActionFeature
from robolearn.episodes.frames import Array, EpisodeContext, Observation
from robolearn.errors import ShelfError


class ScriptedExpert(Agent):
    """Moves the hands through the waypoints of a task.

    It sees what a policy sees, and no more.

    Args:
        task: with an expert.
        context: of the environment that it drives.
        variation: what is varied as people do.

    Raises:
        ShelfError: the task has no expert, its actions do not move hands, or its waypoints do not
            fit its arms and observations.
    """

    def __init__(
        self, task: SimTask, context: EpisodeContext, variation: Sequence[VariationName] = ()
    ) -> None:
        if task.expert is None:
            raise ShelfError("the task has no [expert]: add waypoints to its file")
        controller = task.simulator.controller
        if not isinstance(controller, HandController):
            raise ShelfError(
                f"the expert moves hands: it needs the controller OSC_POSE, not {controller.type}"
            )
        self._expert = task.expert
        self._full_action = np.asarray(controller.limits(0))
        self._shares = np.array([1.0] * 3 + [self._expert.turning] * 3)
        self._action: ActionFeature = context.action
        self._rate = context.rate
        self._variation_names = variation
        robots = len(task.simulator.robots)
        for waypoint in self._expert.waypoints:
            if waypoint.robot >= robots:
                raise ShelfError(
                    f"the waypoint {waypoint.name!r} is for robot {waypoint.robot}, but the task "
                    f"has {robots}, counted from 0"
                )
        if self._expert.base_yaw and len(self._expert.base_yaw) != robots:
            raise ShelfError(
                f"base_yaw in [expert] needs one angle a robot: {robots}, not "
                f"{len(self._expert.base_yaw)}"
            )
        self._arms = [Arm(robot, self._expert, context) for robot in range(robots)]
        self._last = max(len(arm.waypoints) for arm in self._arms) - 1
        self._moving = np.asarray(self._action.arm).reshape(robots, -1)
        self._gripping = np.asarray(self._action.gripper).reshape(robots, -1)
        self.reset(seed=0)

    def reset(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._variation = HumanVariation(
            self._expert.variation,
            self._variation_names,
            self._rate,
            self._moving.shape,
            self._random,
        )
        self._speed = self._random.uniform(*self._expert.speed)
        choosing = any(waypoint.alternatives for waypoint in self._expert.waypoints)
        self._choice = self._random.random() if choosing else 0.0
        self._begun: bool
        self._go_to(0)
        for arm in self._arms:
            arm.forget()

    def act(self, observation: Observation) -> Array:
        was_paused = self._variation.paused
        self._variation.step()
        paused = self._variation.paused
        action = np.zeros(self._action.shape, np.float32)
        ways = []
        for robot, arm in enumerate(self._arms):
            waypoint = self._waypoint(arm)
            if not self._begun:
                arm.begin(waypoint, observation, self._variation, self._choice)
            if paused and not was_paused:
                arm.stand(observation)
            remaining = arm.remaining(observation)
            ways.append((waypoint, remaining))
            error = arm.standing(observation) if paused else remaining.error
            action[self._moving[robot]] = self._move(robot, error, remaining.across)
            gripper = self._gripping[robot]
            extremes = self._action.high if waypoint.gripper == "close" else self._action.low
            action[gripper] = np.asarray(extremes)[gripper]
        self._begun = True
        if not paused:
            self._advance(ways)
        return np.clip(action, self._action.low, self._action.high).astype(np.float32)

    def _waypoint(self, arm: Arm) -> Waypoint:
        return arm.waypoints[min(self._next, len(arm.waypoints) - 1)]

    def _move(self, robot: int, error: Array, across: float) -> Array:
        most = self._speed * self._variation.speed * self._shares
        arm: Array = np.clip(self._expert.gain * error / self._full_action, -most, most)
        arm += self._shares * self._variation.disturbance(robot, across)
        arm += self._expert.noise * self._random.standard_normal(arm.shape)
        return arm

    def _advance(self, ways: Sequence[tuple[Waypoint, Remaining]]) -> None:
        """Go on to the next number once each arm has reached its waypoint and waited there.

        Where something was lost, go back to the first.
        """
        if any(remaining.lost for _, remaining in ways):
            self._go_to(0)
            return
        for waypoint, remaining in ways:
            turned_enough = waypoint.angle is None or remaining.angle <= waypoint.angle
            if remaining.distance > waypoint.tolerance or not turned_enough:
                return
        if self._next == self._last:
            return
        if self._waited < max(waypoint.wait for waypoint, _ in ways):
            self._waited += 1
            return
        self._go_to(self._next + 1)

    def _go_to(self, number: int) -> None:
        self._next = number
        self._waited = 0
        self._begun = False
