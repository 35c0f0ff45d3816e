from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from robolearn.environments.as_gymnasium import AsGymnasium
from robolearn.environments.gymnasium import GymnasiumEnvironment
from robolearn.environments.gymnasium_task import GymnasiumTask, Registered
from robolearn.errors import ConfigurationError, SimulationError


class Odd(gymnasium.Env):
    """Observes and is driven by what it is told to be, and breaks down when told to."""

    def __init__(self, observed: spaces.Space, driven: spaces.Space, reward: float = 1.0) -> None:
        self.observation_space, self.action_space, self.reward = observed, driven, reward
        self.done: list[object] = []

    def reset(self, *, seed=None, options=None):
        return self.observation_space.sample(), {}

    def step(self, action):
        self.done.append(action)
        return self.observation_space.sample(), self.reward, False, False, {}


@pytest.fixture
def odd() -> Iterator[str]:
    name = "robolearn-tests/Odd-v0"
    gymnasium.register(name, Odd, max_episode_steps=5)
    yield name
    del gymnasium.registry[name]


def environment(name: str, **options: object) -> GymnasiumEnvironment:
    return GymnasiumEnvironment(GymnasiumTask(name, Registered(name, options=options)))


def test_the_horizon_truncates_and_seeds_follow_each_other() -> None:
    task = GymnasiumTask("p", Registered("CartPole-v1", horizon=3))
    with closing(GymnasiumEnvironment(task)) as inner:
        view = AsGymnasium(inner, itertools.count(7))
        for seed in (7, 8):
            seen, _ = view.reset(seed=123)
            expected, _ = gymnasium.make("CartPole-v1").reset(seed=seed)
            assert np.array_equal(seen, expected)
            ends = [view.step(np.int64(step % 2))[2:4] for step in range(3)]
            assert ends == [(False, False), (False, False), (False, True)]
    assert view.observation_space.shape == (4,)
    assert view.action_space.n == 2


def test_actions_are_counted_from_the_least(odd: str) -> None:
    with closing(
        environment(odd, observed=spaces.Box(0, 1, (2,)), driven=spaces.Discrete(3, start=5))
    ) as inner:
        view = AsGymnasium(inner, itertools.count())
        view.reset()
        view.step(np.int64(2))
        assert inner._env.unwrapped.done == [7]


@pytest.mark.parametrize(
    ("observed", "driven", "said"),
    [
        (spaces.Box(0, 1, (2,)), spaces.Box(-1, 1, (2,)), "2 continuous values"),
        (spaces.Box(0, 1, (2,)), spaces.MultiDiscrete([2, 3]), "2 whole numbers"),
        (spaces.Box(0, 255, (8, 8, 3), np.uint8), spaces.Discrete(2), "is an image"),
    ],
)
def test_what_is_not_vectors_and_one_discrete_action_is_refused(
    odd: str, observed: spaces.Space, driven: spaces.Space, said: str
) -> None:
    with closing(environment(odd, observed=observed, driven=driven)) as inner:
        with pytest.raises(ConfigurationError, match=said):
            AsGymnasium(inner, itertools.count())


def test_an_environment_that_breaks_down_is_not_learnt_from(odd: str) -> None:
    with closing(
        environment(
            odd, observed=spaces.Box(0, 1, (2,)), driven=spaces.Discrete(2), reward=float("nan")
        )
    ) as inner:
        view = AsGymnasium(inner, itertools.count())
        view.reset()
        with pytest.raises(SimulationError, match="broke down"):
            view.step(np.int64(0))
