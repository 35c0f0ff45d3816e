from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from robolearn.agents.scripted import ScriptedExpert
from robolearn.control.loop import run_episode
from robolearn.environments.fast_stepping import FastStepping
from robolearn.environments.rendering import select_gl
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import SimTask, load_task
from robolearn.episodes.features import ENVIRONMENT_STATE, SIMULATOR_STATE
from robolearn.episodes.frames import Outcome, Step

HAND = "observation.state.robot0_eef_pos"
PILLAR = slice(3, 6)


class Seen:
    """What an episode passed through."""

    def on_reset(self, context) -> None:
        self.steps: list[Step] = []

    def on_step(self, step: Step) -> None:
        self.steps.append(step)

    def on_end(self, outcome: Outcome) -> None:
        pass

    def values(self, name: str) -> np.ndarray:
        return np.array([step.next_observation.values[name] for step in self.steps])

    def side(self) -> float:
        """Where the hand was when it passed the pillar: positive on its left."""
        way = self.values(HAND) - self.values(ENVIRONMENT_STATE)[:, PILLAR]
        return float(way[np.abs(way[:, 0]).argmin(), 1])


@pytest.fixture(scope="module")
def task() -> SimTask:
    return load_task("sim:around")


@pytest.fixture(scope="module")
def environment(task: SimTask) -> Iterator[RobosuiteEnvironment]:
    environment = RobosuiteEnvironment(task)
    yield environment
    environment.close()


def straight(environment: RobosuiteEnvironment, seed: int) -> tuple[np.ndarray, bool]:
    """The pillar's path, and success, where the hand goes straight to the goal."""
    environment.reset(seed)
    pillar = []
    for _ in range(60):
        state = environment.vectors()[ENVIRONMENT_STATE]
        pillar.append(state[PILLAR])
        action = np.zeros(7)
        action[:3] = 0.5 * state[10:13] / 0.05
        environment.act(np.clip(action, -1, 1))
    return np.array(pillar), environment.success


def test_it_is_stepped_by_compiled_code(environment: RobosuiteEnvironment) -> None:
    assert isinstance(environment._stepping, FastStepping)


def test_the_seed_moves_start_pillar_and_goal_a_little(environment: RobosuiteEnvironment) -> None:
    hands, states = [], []
    for seed in range(8):
        environment.reset(seed)
        values = environment.vectors()
        hands.append(values[HAND])
        states.append(values[ENVIRONMENT_STATE])
    hands, states = np.array(hands), np.array(states)
    np.testing.assert_allclose(hands.mean(0), [-0.18, 0, 0.9], atol=0.01)
    np.testing.assert_allclose(states[:, :3].mean(0), [0.14, 0, 0.9], atol=0.02)
    for varied in (hands[:, :2], states[:, :2], states[:, 3:5]):
        assert (np.ptp(varied, axis=0) > 0.002).all()
        assert (np.ptp(varied, axis=0) < 0.07).all()
    np.testing.assert_allclose(states[:, 10:13], states[:, :3] - hands, atol=1e-6)


def test_the_expert_passes_on_either_side(task: SimTask, environment: RobosuiteEnvironment) -> None:
    agent = ScriptedExpert(task, environment.context)
    seen = Seen()
    sides = []
    for seed in range(10):
        assert run_episode(environment, agent, [seen], seed=seed).success_at_end
        sides.append(seen.side())
    assert (np.abs(sides) > 0.12).all()
    assert 2 <= sum(side > 0 for side in sides) <= 8
    run_episode(environment, agent, [seen], seed=3)
    assert seen.side() == sides[3]


def test_the_expert_chooses_each_side_half_the_time(
    task: SimTask, environment: RobosuiteEnvironment
) -> None:
    agent = ScriptedExpert(task, environment.context)
    environment.reset(0)
    observation = environment.observe()
    left = 0
    for seed in range(400):
        agent.reset(seed)
        left += agent.act(observation)[1] > 0
    assert 160 <= left <= 240


def test_the_straight_way_knocks_the_pillar_over(environment: RobosuiteEnvironment) -> None:
    for seed in range(3):
        pillar, success = straight(environment, seed)
        assert np.linalg.norm(pillar[-1] - pillar[0]) > 0.02
        assert not success


def test_nothing_moves_the_pillar_but_the_hand(environment: RobosuiteEnvironment) -> None:
    environment.reset(0)
    before = environment.vectors()[ENVIRONMENT_STATE]
    for _ in range(20):
        environment.act(np.zeros(7))
    after = environment.vectors()[ENVIRONMENT_STATE]
    np.testing.assert_allclose(after[:10], before[:10], atol=2e-3)
    np.testing.assert_array_equal(after[:3], before[:3])


def test_success_is_told_from_a_stored_state(
    task: SimTask, environment: RobosuiteEnvironment
) -> None:
    """In an environment that has seen another episode, so knows another goal and pillar."""
    agent = ScriptedExpert(task, environment.context)
    seen = Seen()
    assert run_episode(environment, agent, [seen], seed=2).success_at_end
    model_file = environment.context.model_file
    assert model_file is not None
    other = RobosuiteEnvironment(task)
    try:
        other.reset(seed=9)
        other.load_model(model_file)
        for step in seen.steps[::6]:
            observation = step.next_observation
            other.load_state(observation.values[SIMULATOR_STATE])
            assert other.success == observation.success
            assert other.reward == observation.reward
            again = other.vectors()
            for name, value in observation.values.items():
                np.testing.assert_allclose(again[name], value, atol=1e-5)
    finally:
        other.close()


def test_moving_or_tilting_the_pillar_is_failure(
    task: SimTask, environment: RobosuiteEnvironment
) -> None:
    agent = ScriptedExpert(task, environment.context)
    seen = Seen()
    run_episode(environment, agent, [seen], seed=2)
    state = seen.values(SIMULATOR_STATE)[-1]
    first = 1 + environment._env.sim.model.get_joint_qpos_addr("pillar_joint0")[0]
    for change in ({0: 0.02}, {1: -0.02}, {3: np.cos(0.1), 4: np.sin(0.1)}):
        moved = state.copy()
        for element, value in change.items():
            moved[first + element] = value + (moved[first + element] if element < 3 else 0)
        environment.load_state(moved)
        assert not environment.success
    environment.load_state(state)
    assert environment.success
    assert environment.reward == 1.0


def test_the_shaped_reward_leads_round_the_pillar(task: SimTask) -> None:
    simulator = dataclasses.replace(task.simulator, options={"reward_shaping": True})
    task = dataclasses.replace(task, simulator=simulator)
    environment = RobosuiteEnvironment(task)
    try:
        agent = ScriptedExpert(task, environment.context)
        seen = Seen()
        assert run_episode(environment, agent, [seen], seed=0).success_at_end
        rewards = np.array([step.next_observation.reward for step in seen.steps])
        assert rewards[-1] == 1.0
        assert 0 < rewards[0] < 0.3
        growing = rewards[: np.argmax(rewards == 1.0)]
        assert (growing[5:] > growing[:-5]).mean() > 0.9
        straight(environment, seed=0)
        assert environment.reward == 0.0
    finally:
        environment.close()


def test_any_arm_begins_at_the_same_place(task: SimTask) -> None:
    simulator = dataclasses.replace(task.simulator, robots=("Sawyer",))
    environment = RobosuiteEnvironment(dataclasses.replace(task, simulator=simulator))
    try:
        environment.reset(0)
        np.testing.assert_allclose(environment.vectors()[HAND], [-0.18, 0, 0.9], atol=0.012)
    finally:
        environment.close()


@pytest.mark.rendering
@pytest.mark.skipif(select_gl() is None, reason="no GL library")
@pytest.mark.parametrize("camera", ["frontview", "agentview"])
def test_cameras_see_the_pillar_and_the_goal(task: SimTask, camera: str) -> None:
    environment = RobosuiteEnvironment(task.with_cameras((camera,), 168, 168))
    try:
        environment.reset(seed=0)
        image = environment.image(f"observation.images.{camera}").astype(int)
        red, green, blue = image[..., 0], image[..., 1], image[..., 2]
        assert ((red > 90) & (green < 60) & (blue < 60)).sum() > 10
        assert ((green > 70) & (red < 70) & (blue < 80) & (green > red + 20)).sum() > 3
    finally:
        environment.close()
