from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from robolearn.agents.agent import Agent
from robolearn.control.clock import Clock
from robolearn.control.loop import run_episode
from robolearn.environments.environment import Environment
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.frames import EpisodeContext, Observation, Outcome, Step
from robolearn.episodes.recorder import Recorder

CONTEXT = EpisodeContext(
    features={"observation.state.count": Feature("float32", (1,))},
    action=ActionFeature("float32", (1,), ("x",), (-1.0,), (1.0,)),
    task="count",
    rate=10.0,
)


class Counter(Environment):
    """Counts its steps; sends half of what is asked for; succeeds at one step only."""

    context = CONTEXT
    horizon = 5

    def __init__(
        self,
        success_at: int = 3,
        terminate_at: int | None = None,
        truncate_at: int | None = None,
        fail_at: int | None = None,
    ) -> None:
        self._success_at = success_at
        self._terminate_at = terminate_at
        self._truncate_at = truncate_at
        self._fail_at = fail_at

    def reset(self, seed: int) -> None:
        self._count = 0

    def observe(self) -> Observation:
        name = "observation.state.count"
        return Observation(
            values={name: np.array([self._count], np.float32)},
            timestamps={name: time.monotonic()},
            time=self._count / 10,
            reward=float(self._count),
            success=self._count == self._success_at,
            terminated=self._count == self._terminate_at,
            truncated=self._count == self._truncate_at,
            failed=self._count == self._fail_at,
        )

    def act(self, action: np.ndarray) -> np.ndarray:
        self._count += 1
        return action / 2

    def close(self) -> None: ...


class Echo(Agent):
    """Asks for what it sees; may raise at a step."""

    def __init__(self, raises: BaseException | None = None) -> None:
        self._raises = raises

    def reset(self, seed: int) -> None: ...

    def act(self, observation: Observation) -> np.ndarray:
        seen = observation.values["observation.state.count"]
        if self._raises is not None and seen[0] == 2:
            raise self._raises
        return seen


@dataclass
class Log:
    steps: list[Step] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def on_reset(self, context: EpisodeContext) -> None:
        assert context is CONTEXT

    def on_step(self, step: Step) -> None:
        self.steps.append(step)

    def on_end(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


def test_each_step_holds_what_was_seen_asked_sent_and_seen_next() -> None:
    log = Log()
    outcome = run_episode(Counter(), Echo(), [log])
    assert outcome == Outcome(5, success=True, success_at_end=False, ended="horizon")
    assert log.outcomes == [outcome]
    for index, step in enumerate(log.steps):
        assert step.index == index
        assert step.observation.values["observation.state.count"] == index
        assert step.action_asked == index
        assert step.action == index / 2
        assert step.next_observation.values["observation.state.count"] == index + 1
        seen = step.observation.timestamps["observation.state.count"]
        assert seen <= step.action_timestamp
        assert step.action_timestamp <= step.next_observation.timestamps["observation.state.count"]


def test_an_environment_may_end_the_episode() -> None:
    outcome = run_episode(Counter(terminate_at=2), Echo())
    assert (outcome.steps, outcome.ended, outcome.success) == (2, "terminated", False)


def test_an_environment_whose_time_is_up_ends_the_episode_as_the_horizon_does() -> None:
    outcome = run_episode(Counter(truncate_at=2), Echo())
    assert (outcome.steps, outcome.ended, outcome.success) == (2, "horizon", False)


def test_an_environment_that_breaks_down_has_no_success() -> None:
    log = Log()
    outcome = run_episode(Counter(fail_at=4), Echo(), [log])
    assert outcome == Outcome(4, success=False, success_at_end=False, ended="failed")
    assert log.steps[2].next_observation.success


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
def test_observers_hear_of_an_episode_that_breaks_off(error: BaseException) -> None:
    log = Log()
    with pytest.raises(type(error)):
        run_episode(Counter(), Echo(error), [log])
    assert [outcome.ended for outcome in log.outcomes] == ["interrupted"]
    assert log.outcomes[0].steps == 2


def test_the_recorder_keeps_what_the_loop_saw(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "journal", "echo")
    run_episode(Counter(), Echo(), [recorder])
    episode = recorder.episode()
    assert episode is not None
    np.testing.assert_array_equal(
        episode.observations["observation.state.count"][:, 0], np.arange(5)
    )
    np.testing.assert_array_equal(episode.actions_asked[:, 0], np.arange(5))
    np.testing.assert_array_equal(episode.actions[:, 0], np.arange(5) / 2)
    np.testing.assert_array_equal(episode.rewards, np.arange(1, 6))
    np.testing.assert_array_equal(episode.success, [False, False, True, False, False])
    np.testing.assert_allclose(episode.time, np.arange(5) / 10)
    assert (np.diff(episode.timestamps["action"]) > 0).all()
    assert (np.diff(episode.timestamps["observation.state.count"]) > 0).all()
    assert episode.agent == "echo"


def test_a_clock_keeps_its_rate_without_drift() -> None:
    clock = Clock(100)
    began = time.monotonic()
    for _ in range(10):
        time.sleep(0.004)
        clock.wait()
    assert time.monotonic() - began >= 0.0999


def test_a_late_step_is_counted_and_does_not_hurry_the_next() -> None:
    clock = Clock(50)
    time.sleep(0.05)
    clock.wait()
    assert clock.missed == 1
    began = time.monotonic()
    clock.wait()
    assert time.monotonic() - began > 0.015


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_rate_must_be_positive(rate: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        Clock(rate)
