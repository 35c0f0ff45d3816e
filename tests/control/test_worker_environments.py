"""What holds for environments in workers of any kind: in processes, and in actors of Ray."""

from __future__ import annotations

import itertools
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_environment
from toy_environment import (
    BAD_SEED,
    DEADLY_SEED,
    DIE,
    FAIL,
    HANG,
    RAISE,
    TERMINATE,
    TRUNCATE,
    ToyEnvironment,
)

import robolearn
from robolearn.control.process_environments import ProcessEnvironments
from robolearn.control.ray_environments import RayEnvironments
from robolearn.control.vector_environment import VectorEnvironment
from robolearn.control.worker_environments import ATTEMPTS
from robolearn.environments.targets import load_target, make_environment
from robolearn.errors import MissingDependency, SimulationError

POSITION = "observation.state.position"
STATE = "simulator_state"

NODE = {
    "num_cpus": 2,
    "object_store_memory": 100 * 2**20,
    "include_dashboard": False,
    "include_log_monitor": False,
}

type MakeVector = Callable[..., VectorEnvironment]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of Ray on this machine."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        folders = (Path(toy_environment.__file__).parent, Path(robolearn.__file__).parents[1])
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args=NODE)
        try:
            cluster.add_node(**NODE)
            ray.init(address=cluster.address, logging_level=logging.WARNING, log_to_driver=False)
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Iterator[MakeVector]:
    """Makes environments, and closes them."""
    if request.param == "ray":
        request.getfixturevalue("cluster")
    kind = {"processes": ProcessEnvironments, "ray": RayEnvironments}[request.param]
    made: list[VectorEnvironment] = []

    def make(*arguments: Any, **options: Any) -> VectorEnvironment:
        made.append(kind(*arguments, **options))
        return made[-1]

    yield make
    for environments in made:
        environments.close()


def actions(steps: int, count: int) -> np.ndarray:
    """(T, N, 2) random ones, within the limits and beyond; no orders."""
    random = np.random.default_rng(5).uniform(-1.5, 1.5, (steps, count, 2)).astype(np.float32)
    random[..., 1] = 0
    return random


def assert_same(alone: ToyEnvironment, environments: VectorEnvironment, index: int) -> None:
    expected, seen = alone.observe(), environments.observe()[index]
    for name in (POSITION, "observation.images.front"):
        np.testing.assert_array_equal(seen.values[name], expected.values[name])
        assert seen.values[name].dtype == expected.values[name].dtype
    assert seen.values[STATE][1] == expected.values[STATE][1]
    for what in ("time", "reward", "success", "terminated"):
        assert getattr(seen, what) == getattr(expected, what), what
    assert seen.timestamps.keys() == expected.timestamps.keys()


@pytest.mark.parametrize(
    ("make", "count", "workers"),
    [("processes", 1, 1), ("processes", 5, 2), ("ray", 5, 2)],
    indirect=["make"],
)
def test_the_same_as_single_environments(make: MakeVector, count: int, workers: int) -> None:
    environments = make(ToyEnvironment, count, workers)
    assert len(environments) == count
    assert environments.horizon == 5
    assert environments.context.seed is None
    assert environments.context.features == ToyEnvironment().context.features
    alone = [ToyEnvironment() for _ in range(count)]
    for first in (20, 40):  # twice: what came before does not matter
        environments.reset(range(first, first + count))
        for index, environment in enumerate(alone):
            environment.reset(first + index)
            assert_same(environment, environments, index)
        for step in actions(4, count):
            sent = environments.act(step)
            for index, environment in enumerate(alone):
                np.testing.assert_array_equal(sent[index], environment.act(step[index]))
                assert_same(environment, environments, index)
    where = environments.observe().values[STATE][:, 0]
    assert len(set(where)) == workers
    assert os.getpid() not in where
    assert environments.lost_episodes == 0


@pytest.mark.parametrize(
    ("make", "order", "lost", "reason"),
    [
        ("processes", RAISE, [2], "it raised ValueError: told to raise"),
        ("processes", DIE, [2, 3], "its worker process was killed by SIGKILL"),
        ("processes", HANG, [2, 3], "its worker gave no answer in time"),
        ("ray", RAISE, [2], "it raised ValueError: told to raise"),
        ("ray", DIE, [2, 3], "its actor ended: "),
        ("ray", HANG, [2, 3], "its worker gave no answer in time"),
    ],
    indirect=["make"],
)
def test_a_failure_loses_the_episodes_of_its_worker_and_no_others(
    make: MakeVector, caplog: pytest.LogCaptureFixture, order: int, lost: list[int], reason: str
) -> None:
    environments = make(ToyEnvironment, 4, 2, time_limit=3 if order == HANG else 60)
    alone = [ToyEnvironment() for _ in range(4)]
    environments.reset(range(4))
    for seed, environment in enumerate(alone):
        environment.reset(seed)
    before = None
    others = [index for index in range(4) if index not in lost]
    for number, step in enumerate(actions(4, 4)):
        step[2, 1] = order if number == 1 else 0
        sent = environments.act(step)
        seen = environments.observe()
        for index in others:
            np.testing.assert_array_equal(sent[index], alone[index].act(step[index]))
            assert_same(alone[index], environments, index)
        if number > 0:
            np.testing.assert_array_equal(np.flatnonzero(seen.lost), lost)
            np.testing.assert_array_equal(sent[lost], 0)
            np.testing.assert_array_equal(seen.values[POSITION][lost], before)
            assert not seen.reward_known[lost].any()
            assert not seen.terminated.any()
        before = seen.values[POSITION][lost]
    assert environments.lost_episodes == len(lost)
    assert len(caplog.messages) == len(lost)
    assert caplog.text.count(f"the episode of environment 2 is lost: {reason}") == 1
    caplog.clear()

    environments.reset([9] * len(lost), which=lost)
    alone[2].reset(9)
    assert not environments.observe().lost.any()
    for step in actions(2, 4):
        environments.act(step)
        for index in (*others, 2):
            alone[index].act(step[index])
            assert_same(alone[index], environments, index)
    assert environments.lost_episodes == len(lost)


@pytest.mark.parametrize(
    ("make", "flaw", "error", "message"),
    [
        ("processes", "missing", MissingDependency, "^toys need wood$"),
        ("processes", "raises", SimulationError, "be made: ZeroDivisionError: one by nothing$"),
        ("processes", "dies", SimulationError, "^environment 0 failed 3 times .* SIGKILL"),
        ("processes", "hangs", SimulationError, "^environment 0 failed 3 times .* in time$"),
        ("ray", "missing", MissingDependency, "^toys need wood$"),
        ("ray", "dies", SimulationError, "^environment 0 failed 3 times .* actor ended"),
    ],
    indirect=["make"],
)
def test_environments_that_cannot_be_made(
    make: MakeVector, flaw: str, error: type[Exception], message: str
) -> None:
    limits = {"time_limit": 1, "start_limit": 1} if flaw == "hangs" else {}
    with pytest.raises(error, match=message) as raised:
        make(partial(ToyEnvironment, flaw), 1, 1, **limits)
    assert "\n" not in str(raised.value)


def test_one_death_at_the_start_is_mended(tmp_path: Path) -> None:
    once = tmp_path / "once"
    once.touch()
    with ProcessEnvironments(partial(ToyEnvironment, "dies", once), 2, 1) as environments:
        environments.reset([1, 2])
        environments.act(np.zeros((2, 2)))
        assert not once.exists()
        assert environments.lost_episodes == 0
        assert not environments.observe().lost.any()


def test_the_death_of_a_node(cluster: Any) -> None:
    """In the middle of an episode: its actor is replaced on the nodes that are left."""
    node = cluster.add_node(**NODE | {"num_cpus": 1})
    with RayEnvironments(ToyEnvironment, 10, 5) as environments:  # as many as there are cores
        environments.reset(range(10))
        alone = [ToyEnvironment() for _ in range(10)]
        for seed, environment in enumerate(alone):
            environment.reset(seed)
        deadline = time.monotonic() + 60
        for number, step in enumerate(itertools.cycle(actions(4, 10))):
            if number == 2:
                cluster.remove_node(node, allow_graceful=False)
            environments.act(step)
            seen = environments.observe()
            for index, environment in enumerate(alone):
                environment.act(step[index])
                if not seen.lost[index]:
                    assert_same(environment, environments, index)
            if seen.lost.any():
                break
            assert time.monotonic() < deadline
        assert seen.lost.sum() == 2
        assert environments.lost_episodes == 2
        environments.reset(range(20, 30))
        for index, environment in enumerate(alone):
            environment.reset(20 + index)
            assert_same(environment, environments, index)
        environments.act(np.zeros((10, 2)))
        assert not environments.observe().lost.any()


def test_ray_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependency, match=r"pip install 'robolearn\[cluster\]'"):
        RayEnvironments(ToyEnvironment, 1, 1)


# What follows is the same code for every kind of worker.


@pytest.fixture
def pair() -> Iterator[VectorEnvironment]:
    with ProcessEnvironments(ToyEnvironment, 2, 1) as environments:
        yield environments


def test_whole_numbers_are_rounded_as_a_single_environment_does() -> None:
    make = partial(make_environment, load_target("gym:CartPole-v1"))
    alone = make()
    alone.reset(3)
    with ProcessEnvironments(make, 1, 1) as environments:
        environments.reset([3])
        assert environments.act(np.array([[0.7]])) == alone.act(np.array([0.7])) == 1
        seen, expected = environments.observe()[0].values, alone.observe().values
        assert np.array_equal(seen["observation.state"], expected["observation.state"])


@pytest.mark.parametrize(
    ("order", "how"), [(TERMINATE, "terminated"), (TRUNCATE, "truncated"), (FAIL, "failed")]
)
def test_an_episode_that_is_over_is_over_until_the_caller_resets_it(
    pair: VectorEnvironment, order: int, how: str
) -> None:
    pair.reset([1, 2])
    pair.act(np.array([[0.5, 0], [0.5, order]]))
    ended = pair.observe()
    assert getattr(ended, how).tolist() == [False, True]
    assert getattr(ended[1], how)
    assert ended[1].last
    assert not ended[0].last
    assert ended.reward_known.all()
    sent = pair.act(np.array([[0.5, 0], [0.5, 0]]))
    seen = pair.observe()
    assert sent.tolist() == [[0.5, 0], [0, 0]]
    assert seen.time.tolist() == [0.2, 0.1]
    assert seen.reward_known.tolist() == [True, False]
    assert seen.reward[1] == 0
    np.testing.assert_array_equal(seen.values[POSITION][1], ended.values[POSITION][1])
    assert getattr(seen, how).tolist() == [False, True]

    pair.reset([3], which=np.flatnonzero(getattr(seen, how)))
    alone = ToyEnvironment()
    alone.reset(3)
    assert_same(alone, pair, 1)
    assert pair.observe().time.tolist() == [0.2, 0]
    assert pair.lost_episodes == 0


def test_a_worker_that_dies_loses_no_episode_that_was_over(pair: VectorEnvironment) -> None:
    pair.reset([1, 2])
    pair.act(np.array([[0, 0], [0, TERMINATE]]))
    pair.act(np.array([[0, DIE], [0, 0]]))
    seen = pair.observe()
    assert seen.lost.tolist() == [True, False]
    assert seen.terminated.tolist() == [False, True]
    assert pair.lost_episodes == 1


def test_arrays_belong_to_the_caller(pair: VectorEnvironment) -> None:
    pair.reset([1, 2])
    first = pair.observe()
    kept = first.values[POSITION].copy()
    sent = pair.act(np.ones((2, 2)) * [1, 0])
    pair.act(np.zeros((2, 2)))
    np.testing.assert_array_equal(first.values[POSITION], kept)
    np.testing.assert_array_equal(sent[:, 0], 1)
    assert first.values[POSITION].flags.c_contiguous


def test_reward_and_success_may_be_unknown() -> None:
    with ProcessEnvironments(partial(ToyEnvironment, "mute"), 1, 1) as environments:
        environments.reset([1])
        environments.act(np.zeros((1, 2)))
        seen = environments.observe()
        assert not seen.reward_known.any()
        assert not seen.success_known.any()
        assert (seen.reward[0], seen.success[0]) == (0, False)
        assert seen[0].reward is None
        assert seen[0].success is None


@pytest.mark.parametrize(("seed", "lost"), [(BAD_SEED, [1]), (DEADLY_SEED, [0, 1])])
def test_an_episode_that_cannot_begin_is_lost(
    pair: VectorEnvironment, seed: int, lost: list[int]
) -> None:
    pair.reset([1, seed])
    seen = pair.observe()
    np.testing.assert_array_equal(np.flatnonzero(seen.lost), lost)
    np.testing.assert_array_equal(seen.values[POSITION][lost], 0)
    pair.act(np.zeros((2, 2)))
    pair.reset([1, 2])
    pair.act(np.zeros((2, 2)))
    assert not pair.observe().lost.any()
    assert pair.lost_episodes == len(lost)


@pytest.mark.parametrize(("seed", "reason"), [(BAD_SEED, "no place"), (DEADLY_SEED, "SIGKILL")])
def test_what_always_fails_is_given_up(pair: VectorEnvironment, seed: int, reason: str) -> None:
    for _ in range(ATTEMPTS - 1):
        pair.reset([seed, 2])
    with pytest.raises(
        SimulationError, match=f"^environment 0 failed 3 times in a row: .*{reason}"
    ):
        pair.reset([seed, 2])


def test_a_step_between_two_failures_gives_hope(pair: VectorEnvironment) -> None:
    for episode in range(2 * ATTEMPTS):
        pair.reset([episode, 7])
        pair.act(np.zeros((2, 2)))
        pair.act(np.array([[0, RAISE], [0, 0]]))
        assert pair.observe().lost.tolist() == [True, False]
    assert pair.lost_episodes == 2 * ATTEMPTS


def test_bad_input(pair: VectorEnvironment) -> None:
    with pytest.raises(ValueError, match="reset all environments first; these never were: 0, 1"):
        pair.act(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="never were: 0, 1"):
        pair.observe()
    pair.reset([1], which=[1])
    with pytest.raises(ValueError, match=r"never were: 0$"):
        pair.observe()
    pair.reset([1], which=[0])
    with pytest.raises(ValueError, match=r"shape \(2,\), not \(2, 2\)"):
        pair.act(np.zeros(2))
    with pytest.raises(ValueError, match="action of environment 1 is not finite"):
        pair.act(np.array([[0, 0], [np.nan, 0]]))
    assert pair.observe().time.tolist() == [0, 0]  # none was driven
    for seeds, which, message in [
        ([1], None, "1 seeds for 2 environments"),
        ([1, 2], [0], "2 seeds for 1"),
        ([1], [2], "no indices of 2"),
        ([1], [-1], "no indices of 2"),
        ([1, 2], [True, False], "no indices of 2"),
        ([1, 2], [0, 0], "twice"),
        ([-1, 2], None, "a seed must be within"),
        ([2**63, 2], None, "a seed must be within"),
    ]:
        with pytest.raises(ValueError, match=message):
            pair.reset(seeds, which)
    pair.reset([], which=[])
    pair.act(np.zeros((2, 2)))
    pair.close()
    pair.close()
    with pytest.raises(ValueError, match="closed"):
        pair.act(np.zeros((2, 2)))


@pytest.mark.parametrize(("count", "processes"), [(1, 2), (0, 0), (2, 0)])
def test_each_worker_has_an_environment(count: int, processes: int) -> None:
    with pytest.raises(ValueError, match="cannot be spread"):
        ProcessEnvironments(ToyEnvironment, count, processes)


def test_time_limits_are_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        ProcessEnvironments(ToyEnvironment, 1, 1, time_limit=0)
