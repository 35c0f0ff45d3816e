from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from robolearn.agents.scripted import ScriptedExpert
from robolearn.control.loop import run_episode
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import SimTask
from robolearn.errors import ShelfError


def test_it_lifts_the_cube(lift_environment: RobosuiteEnvironment, lift_task: SimTask) -> None:
    agent = ScriptedExpert(lift_task, lift_environment.context)
    outcomes = [run_episode(lift_environment, agent, seed=seed) for seed in range(4)]
    assert all(outcome.success_at_end for outcome in outcomes)
    assert {outcome.ended for outcome in outcomes} == {"horizon"}


def test_the_seed_decides_what_it_does(
    lift_environment: RobosuiteEnvironment, lift_task: SimTask
) -> None:
    lift_environment.reset(seed=0)
    observation = lift_environment.observe()
    agent = ScriptedExpert(lift_task, lift_environment.context)

    def first_action(seed: int) -> np.ndarray:
        agent.reset(seed)
        return agent.act(observation)

    np.testing.assert_array_equal(first_action(1), first_action(1))
    assert not np.array_equal(first_action(1), first_action(2))


def test_the_hand_turns_by_the_smallest_angle_that_fits(
    lift_environment: RobosuiteEnvironment, lift_task: SimTask
) -> None:
    assert lift_task.expert is not None
    still = dataclasses.replace(lift_task.expert, noise=0.0)
    agent = ScriptedExpert(dataclasses.replace(lift_task, expert=still), lift_environment.context)
    for seed in range(10):
        lift_environment.reset(seed)
        agent.reset(seed)
        turn = agent.act(lift_environment.observe())[3:6] * 0.5 / still.gain
        assert abs(turn[2]) <= np.pi / 4 + 0.05
        np.testing.assert_allclose(turn[:2], 0, atol=1e-5)


def test_a_task_without_an_expert_is_refused(
    lift_environment: RobosuiteEnvironment, lift_task: SimTask
) -> None:
    with pytest.raises(ShelfError, match="no \\[expert\\]"):
        ScriptedExpert(dataclasses.replace(lift_task, expert=None), lift_environment.context)


def test_an_object_that_is_not_observed_is_named(
    lift_environment: RobosuiteEnvironment, lift_task: SimTask
) -> None:
    assert lift_task.expert is not None
    waypoint = dataclasses.replace(lift_task.expert.waypoints[0], relative_to="ball")
    expert = dataclasses.replace(lift_task.expert, waypoints=(waypoint,))
    with pytest.raises(ShelfError, match="ball_pos"):
        ScriptedExpert(dataclasses.replace(lift_task, expert=expert), lift_environment.context)
