from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from robolearn.agents.scripted import ScriptedExpert
from robolearn.agents.variation import HumanVariation
from robolearn.control.loop import run_episode
from robolearn.environments.expert import VARIATIONS, Variation, VariationName
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import SimTask

RATE = 20.0
LONG = np.array([0.4, 0.0, 0.0])
USUAL = Variation()


def of(*names: VariationName, seed: int = 0, settings: Variation = USUAL) -> HumanVariation:
    return HumanVariation(settings, names, RATE, (1, 6), np.random.default_rng(seed))


def disturbances(variation: HumanVariation, steps: int) -> np.ndarray:
    found = []
    for _ in range(steps):
        variation.step()
        found.append(variation.disturbance(0, across=1.0))
    return np.array(found)


def test_nothing_varies_unless_it_is_turned_on() -> None:
    variation = of()
    assert not disturbances(variation, 200).any()
    assert variation.speed == 1.0
    assert not variation.paused
    assert variation.detour(LONG) is None
    assert variation.which(2, LONG) == 0


def test_it_leaves_the_generator_that_it_is_given_as_it_was() -> None:
    random = np.random.default_rng(3)
    HumanVariation(Variation(), VARIATIONS, RATE, (2, 6), random).step()
    assert random.random() == np.random.default_rng(3).random()


def test_the_disturbance_has_its_size_and_lasts() -> None:
    settings = Variation(noise=0.2, correlation=0.4)
    found = disturbances(of("noise", settings=settings), 20_000)
    np.testing.assert_allclose(found.std(axis=0), 0.2, rtol=0.05)
    after = int(0.4 * RATE)  # one time constant
    alike = np.mean(found[after:] * found[:-after]) / found.var()
    assert alike == pytest.approx(np.exp(-1), abs=0.05)


def test_the_disturbance_fades_close_to_the_waypoint() -> None:
    variation = of("noise")
    far = variation.disturbance(0, across=0.3)
    np.testing.assert_allclose(variation.disturbance(0, across=0.05), far / 2)
    assert not variation.disturbance(0, across=0.0).any()


def test_the_speed_differs_between_episodes_and_along_the_way() -> None:
    episodes = []
    for seed in range(100):
        variation = of("speed", seed=seed, settings=Variation(speed=(0.4, 0.9)))
        speeds = []
        for _ in range(100):
            variation.step()
            speeds.append(variation.speed)
        episodes.append(speeds)
    found = np.array(episodes)
    assert found.min() >= 0.4
    assert found.max() <= 0.9
    assert found.mean() == pytest.approx(0.65, abs=0.03)
    assert found.mean(axis=1).std() > 0.06
    assert found.std(axis=1).mean() > 0.06


def test_long_ways_lead_left_right_up_or_straight_on() -> None:
    variation = of("approach", settings=Variation(detour=0.06))
    found = [variation.detour(LONG) for _ in range(400)]
    detours = np.array([each for each in found if each is not None])
    assert len(detours) == pytest.approx(300, abs=40)
    np.testing.assert_allclose(detours[:, 0], 0.2)
    left, right, up = detours[:, 1] > 0, detours[:, 1] < 0, detours[:, 2] > 0
    assert (left ^ right ^ up).all()
    assert min(left.sum(), right.sum(), up.sum()) > 60
    sideways = np.linalg.norm(detours[:, 1:], axis=1)
    assert sideways.min() >= 0.03
    assert sideways.max() <= 0.06


@pytest.mark.parametrize("way", [[0.1, 0.1, 0.0], [0.0, 0.0, 0.5]])
def test_short_and_upright_ways_are_gone_straight(way: Sequence[float]) -> None:
    variation = of("approach")
    assert all(variation.detour(np.array(way)) is None for _ in range(20))
    assert all(variation.which(2, np.array(way)) == 0 for _ in range(20))


def test_each_equivalent_grasp_is_taken() -> None:
    variation = of("approach")
    assert {variation.which(2, LONG) for _ in range(50)} == {0, 1}


def test_pauses_come_as_often_and_last_as_long_as_asked() -> None:
    settings = Variation(pauses=0.5, pause=(0.2, 0.6))
    variation = of("pauses", settings=settings)
    paused = []
    for _ in range(40_000):
        variation.step()
        paused.append(variation.paused)
    edges = np.diff(np.array(paused, int))
    begins, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    lengths = ends[: len(begins)] - begins[: len(ends)]
    assert lengths.min() >= 4
    assert lengths.max() <= 12
    moving = (len(paused) - sum(paused)) / RATE
    assert len(begins) / moving == pytest.approx(0.5, rel=0.1)


def test_turning_one_on_leaves_the_others_as_they_were() -> None:
    alone = disturbances(of("noise"), 50)
    variation = of("speed", "noise", "approach")
    variation.detour(LONG)
    np.testing.assert_array_equal(disturbances(variation, 50), alone)


def test_lift_succeeds_with_all_variation_and_no_two_ways_are_alike(
    lift_environment: RobosuiteEnvironment, lift_task: SimTask
) -> None:
    agents = [
        ScriptedExpert(lift_task, lift_environment.context, names) for names in ((), VARIATIONS)
    ]
    for seed in range(3):
        assert run_episode(lift_environment, agents[1], seed=seed).success
    lift_environment.reset(0)
    observation = lift_environment.observe()
    actions = []
    for agent in (*agents, agents[1]):
        agent.reset(0)
        actions.append([agent.act(observation) for _ in range(20)])
    assert not np.allclose(actions[0], actions[1])
    np.testing.assert_array_equal(actions[1], actions[2])


def test_while_it_pauses_the_hand_is_held_where_it_was(
    lift_environment: RobosuiteEnvironment, lift_task: SimTask
) -> None:
    assert lift_task.expert is not None
    always = Variation(pauses=RATE, pause=(0.5, 0.5))
    expert = replace(lift_task.expert, variation=always, noise=0.0)
    task = replace(lift_task, expert=expert)
    agent = ScriptedExpert(task, lift_environment.context, ("pauses",))
    lift_environment.reset(0)
    here = lift_environment.observe()
    np.testing.assert_array_equal(agent.act(here)[:6], np.zeros(6))
    values = dict(here.values)
    name = "observation.state.robot0_eef_pos"
    values[name] = values[name] + np.array([0.01, 0.0, 0.0], np.float32)
    back = agent.act(replace(here, values=values))
    np.testing.assert_allclose(back[:3], [-expert.gain * 0.01 / 0.05, 0, 0], atol=1e-5)
