from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from robolearn.agents.random_actions import RandomAgent
from robolearn.control.loop import run_episode
from robolearn.environments.gymnasium import GymnasiumEnvironment
from robolearn.environments.gymnasium_task import GymnasiumTask, Registered
from robolearn.environments.task import Cameras
from robolearn.errors import MissingDependency, SimulationError

made: list[Everything] = []


class Everything(gymnasium.Env[Any, Any]):
    """Observes and is driven by what it is told to be; over after the action that is its last."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012  as Gymnasium has it

    def __init__(
        self,
        observed: spaces.Space[Any],
        driven: spaces.Space[Any],
        render_mode: str | None = None,
        patience: int = 100,
    ) -> None:
        self.patience = patience
        self.closed = 0
        made.append(self)
        self.observation_space = observed
        self.action_space = driven
        self.render_mode = render_mode
        self.actions: list[Any] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.actions = []
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self.actions.append(action)
        done = len(self.actions) == 5
        late = len(self.actions) == self.patience
        return self.observation_space.sample(), 2.0, done, late, {"is_success": done}

    def render(self) -> Any:
        return np.full((40, 60, 3), len(self.actions), np.uint8)

    def close(self) -> None:
        self.closed += 1


BOX = spaces.Box(-1, 1, (2,), np.float32)


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(gymnasium, "registry", dict(gymnasium.registry))
    monkeypatch.setattr(gymnasium.envs.registration, "registry", gymnasium.registry)
    gymnasium.register("Everything-v0", Everything, max_episode_steps=20)

    def make(
        observed: spaces.Space[Any] = BOX, driven: spaces.Space[Any] = BOX, **changes: Any
    ) -> GymnasiumEnvironment:
        settings: dict[str, Any] = {"observed": observed, "driven": driven}
        registered = dict(changes.pop("registered", {}))
        settings |= registered.pop("options", {})
        registered = Registered("Everything-v0", options=settings, **registered)
        return GymnasiumEnvironment(GymnasiumTask("any", registered, **changes))

    return make


def test_a_dictionary_becomes_features(make: Any) -> None:
    image = spaces.Box(0, 255, (4, 6, 3), np.uint8)
    inner = spaces.Dict({"joints": spaces.Box(-9, 9, (3, 2)), "mode": spaces.Discrete(4)})
    environment = make(spaces.Dict({"front": image, "arm": inner}))
    environment.reset(3)
    observation = environment.observe()
    described = {name: feature.shape for name, feature in environment.context.features.items()}
    assert described == {
        "observation.images.front": (4, 6, 3),
        "observation.state.arm.joints": (6,),
        "observation.state.arm.mode": (4,),
    }
    assert {name: value.shape for name, value in observation.values.items()} == described
    assert observation.values["observation.images.front"].dtype == np.uint8
    mode = observation.values["observation.state.arm.mode"]
    assert sorted(mode) == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("driven", "low", "high", "asked", "taken"),
    [
        (spaces.Discrete(3, start=2), (2,), (4,), [2.6], 3),
        (spaces.Discrete(3), (0,), (2,), [7], 2),
        (spaces.MultiDiscrete([2, 5]), (0, 0), (1, 4), [1, 2.2], [1, 2]),
        (spaces.MultiBinary(2), (0, 0), (1, 1), [0.2, 0.9], [0, 1]),
        (spaces.Box(-2, 3, (1, 2)), (-2, -2), (3, 3), [-5, 1.5], [[-2, 1.5]]),
    ],
)
def test_actions_are_limited_and_whole_where_they_have_to_be(
    make: Any, driven: Any, low: tuple[int], high: tuple[int], asked: Any, taken: Any
) -> None:
    environment = make(driven=driven)
    assert (environment.context.action.low, environment.context.action.high) == (low, high)
    sent = environment.act(np.array(asked))
    assert sent.dtype == environment.context.action.dtype
    assert np.array_equal(environment._env.unwrapped.actions[-1], taken)
    assert np.array_equal(np.ravel(taken), sent)


def test_an_episode_ends_when_the_task_is_over(make: Any) -> None:
    environment = make()
    outcome = run_episode(environment, RandomAgent(environment.context), seed=1)
    assert (outcome.steps, outcome.ended, outcome.success) == (5, "terminated", True)
    with pytest.raises(ValueError, match="over"):
        environment.act(np.zeros(2))
    environment.reset(1)
    environment.act(np.zeros(2))
    observation = environment.observe()
    assert (observation.reward, observation.time) == (2.0, 0.1)
    assert not observation.terminated


def test_an_environment_that_counts_its_time_truncates_the_episode(make: Any) -> None:
    environment = make(registered={"options": {"patience": 3}})
    outcome = run_episode(environment, RandomAgent(environment.context), seed=1)
    assert (outcome.steps, outcome.ended, outcome.success) == (3, "horizon", False)
    observation = environment.observe()
    assert (observation.truncated, observation.terminated) == (True, False)
    with pytest.raises(ValueError, match="over"):
        environment.act(np.zeros(2))
    environment.reset(1)
    assert not environment.observe().truncated


def test_the_horizon_is_the_tasks(make: Any) -> None:
    environment = make(registered={"horizon": 3, "rate": 50.0})
    outcome = run_episode(environment, RandomAgent(environment.context), seed=1)
    assert (outcome.steps, outcome.ended) == (3, "horizon")
    assert environment.context.rate == 50
    assert make().horizon == 20


def test_the_same_seed_gives_the_same_episode() -> None:
    def states(seed: int) -> list[Any]:
        environment = GymnasiumEnvironment(GymnasiumTask("any", Registered("CartPole-v1")))
        agent = RandomAgent(environment.context)
        environment.reset(seed)
        agent.reset(seed)
        seen = []
        for _ in range(8):
            observation = environment.observe()
            seen.append(observation.values["observation.state"])
            environment.act(agent.act(observation))
        return seen

    assert np.array_equal(states(4), states(4))
    assert not np.array_equal(states(4), states(5))


def test_what_it_renders_is_a_camera(make: Any) -> None:
    environment = make(cameras=Cameras(("render",), 20, 30))
    environment.act(np.zeros(2))
    assert np.array_equal(
        environment.observe().values["observation.images.render"], np.ones((20, 30, 3))
    )
    with pytest.raises(SimulationError, match="'front'; a Gymnasium environment has render"):
        make(cameras=Cameras(("front",), 20, 30))


def test_an_action_that_is_not_finite_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="finite"):
        make(driven=spaces.Discrete(3)).act(np.array([np.nan]))
    with pytest.raises(ValueError, match="shape"):
        make().act(np.zeros(3))


@pytest.mark.parametrize(
    ("observed", "driven", "message"),
    [
        (BOX, spaces.Box(-np.inf, np.inf, (2,)), "finite ranges"),
        (BOX, spaces.Text(3), "finite ranges"),
        (spaces.Graph(BOX, None), BOX, "no vector and no image"),
    ],
)
def test_spaces_without_features_are_refused(
    make: Any, observed: Any, driven: Any, message: str
) -> None:
    with pytest.raises(SimulationError, match=message):
        make(observed, driven)
    assert made[-1].closed == 1


def test_what_gymnasium_does_not_know_is_refused() -> None:
    def make(registered: str, **options: Any) -> None:
        GymnasiumEnvironment(GymnasiumTask("any", Registered(registered, options=options)))

    with pytest.raises(SimulationError, match="Did you mean: `CartPole`"):
        make("CartPolle-v1")
    with pytest.raises(SimulationError, match="unexpected keyword"):
        make("CartPole-v1", gravity_of_the_moon=True)
    assert (
        GymnasiumEnvironment(
            GymnasiumTask("any", Registered("gymnasium.envs.classic_control:CartPole-v1"))
        ).horizon
        == 500
    )
    with pytest.raises(MissingDependency, match="not_there"):
        make("not_there/Task-v0")
    with pytest.raises(SimulationError, match="no limit of time"):
        make("Blackjack-v1")


def test_numbers_that_are_not_finite_end_the_episode_as_failed(make: Any) -> None:
    environment = make()
    raw = environment._env.unwrapped
    step = raw.step
    for broken in (
        lambda action: (step(action)[0] * np.nan, 1.0, False, False, {}),
        lambda action: (step(action)[0], np.inf, False, False, {}),
    ):
        environment.reset(1)
        before = environment.observe()
        raw.step = broken
        environment.act(np.zeros(2))
        after = environment.observe()
        assert (after.failed, after.success, after.reward) == (True, False, 0.0)
        state = "observation.state"
        assert np.array_equal(after.values[state], before.values[state])
        with pytest.raises(ValueError, match="over"):
            environment.act(np.zeros(2))


def test_what_an_environment_raises_is_its_own(make: Any) -> None:
    environment = make()

    def broken(action: Any) -> Any:
        raise RuntimeError("the cart\nfell off")

    environment._env.unwrapped.step = broken
    with pytest.raises(
        SimulationError, match=r"Everything-v0 raised RuntimeError: the cart fell off"
    ):
        environment.act(np.zeros(2))


def test_features_of_one_name_are_refused(make: Any) -> None:
    with pytest.raises(SimulationError, match=r"observes observation\.state\.a\.b twice"):
        make(spaces.Dict({"a.b": BOX, "a": spaces.Dict({"b": BOX})}))


def test_a_limit_is_not_passed_by_rounding(make: Any) -> None:
    environment = make(driven=spaces.Box(-0.1, 0.1, (2,), np.float64))
    environment.act(np.ones(2))  # the environment looks whether it may be so
    assert environment._env.unwrapped.actions[-1].max() == 0.1


def test_a_namespace_is_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "arms_of_mine.py").write_text(
        "import gymnasium\n"
        "gymnasium.register('arms_of_mine/Pole-v0', max_episode_steps=7,\n"
        "    entry_point='gymnasium.envs.classic_control.cartpole:CartPoleEnv')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    environment = GymnasiumEnvironment(GymnasiumTask("any", Registered("arms_of_mine/Pole-v0")))
    assert environment.horizon == 7
    assert isinstance(sys.modules.pop("arms_of_mine"), ModuleType)
