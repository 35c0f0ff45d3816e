"""Worker processes of vectorised environments: what they leave behind, and robosuite in them."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import toy_environment
from toy_environment import ToyEnvironment

import robolearn
from robolearn.control.process_environments import ProcessEnvironments
from robolearn.environments.environment import Environment
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import SimTask
from robolearn.errors import SimulationError

POSITION = "observation.state.position"
STATE = "simulator_state"

SCRIPT = """
import sys
import numpy as np
from robolearn.control.process_environments import ProcessEnvironments
from toy_environment import HANG, ToyEnvironment

if __name__ == "__main__":
    environments = ProcessEnvironments(ToyEnvironment, 3, 2)
    environments.reset(range(3))
    print(*sorted(set(environments.observe().values["simulator_state"][:, 0].astype(int))), flush=True)
    action = np.zeros((3, 2))
    if sys.argv[1] == "end":
        sys.exit()
    with environments:
        while True:
            action[0, 1] = HANG if sys.argv[1] == "hang" else 0
            environments.act(action)
"""


def alive(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


def await_that(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def segments() -> set[str]:
    """Shared memory with a name, of those kinds that Python's own libraries make."""
    kinds = ("psm_", "pym-", "sem.mp")
    return {path.name for path in Path("/dev/shm").iterdir() if path.name.startswith(kinds)}


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and /dev/shm")
@pytest.mark.parametrize(
    ("doing", "number", "status"),
    [
        ("step", signal.SIGINT, -signal.SIGINT),
        ("hang", signal.SIGINT, -signal.SIGINT),
        ("step", signal.SIGKILL, -signal.SIGKILL),
        ("hang", signal.SIGKILL, -signal.SIGKILL),
        ("end", None, 0),
    ],
)
def test_nothing_stays_behind(
    tmp_path: Path, doing: str, number: signal.Signals | None, status: int
) -> None:
    """After Ctrl-C, after the parent is killed, and where the environments are never closed."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    before = segments()
    folders = (Path(toy_environment.__file__).parent, Path(robolearn.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, script, doing],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    workers = [int(worker) for worker in process.stdout.readline().split()]
    assert len(workers) == 2
    if number is not None:
        time.sleep(0.2)
        assert all(map(alive, workers))
        for worker in workers:
            assert "/memfd:robolearn (deleted)" in Path(f"/proc/{worker}/maps").read_text()
        if number == signal.SIGKILL:
            process.kill()
        else:  # a terminal sends it to every process of the group
            os.killpg(process.pid, number)
    # Whoever holds the other end of the pipe open is still alive.
    said = process.communicate(timeout=30)[1]
    assert process.returncode == status, said
    assert said.count("Traceback") == int(number == signal.SIGINT), said  # the parent's own
    await_that(lambda: not any(map(alive, workers)))
    await_that(lambda: not segments() - before)  # other tests have some for a moment


def test_environments_that_are_forgotten_end_their_workers() -> None:
    environments = ProcessEnvironments(ToyEnvironment, 2, 2)
    environments.reset([1, 2])
    workers = environments.observe().values[STATE][:, 0].astype(int)
    assert all(map(alive, workers))
    del environments
    gc.collect()
    assert not any(map(alive, workers))


def test_a_command_that_ctrl_c_broke_off_is_finished_first() -> None:
    with ProcessEnvironments(Slow, 2, 2) as environments:
        environments.reset([1, 2])
        before = signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(KeyboardInterrupt):
                environments.act(np.zeros((2, 2)))
        finally:
            signal.signal(signal.SIGALRM, before)
        assert environments.observe().time.tolist() == [0.1, 0.1]
        environments.reset([3, 4])
        alone = ToyEnvironment()
        for index in range(2):
            alone.reset(3 + index)
            expected = alone.observe().values[POSITION]
            np.testing.assert_array_equal(environments.observe()[index].values[POSITION], expected)
        assert environments.lost_episodes == 0


class Slow(ToyEnvironment):
    """Takes half a second for a step."""

    def act(self, action: np.ndarray) -> np.ndarray:
        time.sleep(0.5)
        return super().act(action)


class Threads(ToyEnvironment):
    """Tells how many threads libraries may use."""

    def act(self, action: np.ndarray) -> np.ndarray:
        names = ("OMP_NUM_THREADS", "LP_NUM_THREADS")
        return np.array([os.environ.get(name, "0") for name in names], np.float32)


def test_libraries_in_workers_use_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LP_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # what the user says holds
    with ProcessEnvironments(Threads, 1, 1) as environments:
        environments.reset([1])
        assert environments.act(np.zeros((1, 2))).tolist() == [[3, 1]]
    assert "LP_NUM_THREADS" not in os.environ


def test_environments_that_cannot_be_pickled() -> None:
    with pytest.raises((AttributeError, TypeError), match=r"local|pickle"):
        ProcessEnvironments(lambda: ToyEnvironment(), 1, 1)


def assert_same(
    make: Callable[[], Environment], alone: Environment, steps: int, processes: int
) -> None:
    """What three environments in workers do is what a single one here does."""
    with ProcessEnvironments(make, 3, processes) as environments:
        shape = (steps, 3, *environments.context.action.shape)
        actions = np.random.default_rng(3).uniform(-1.2, 1.2, shape).astype(np.float32)
        environments.reset([5, 6, 7])
        seen = [environments.observe()]
        sent = []
        for step in actions:
            sent.append(environments.act(step))
            seen.append(environments.observe())
    for index in range(3):
        alone.reset(5 + index)
        for number in range(steps + 1):
            here, there = alone.observe(), seen[number][index]
            assert there.values.keys() == here.values.keys()
            for name in here.values:
                np.testing.assert_array_equal(there.values[name], here.values[name], name)
            assert (there.reward, there.success) == (here.reward, here.success)
            assert there.time == here.time
            if number < steps:
                driven = alone.act(actions[number, index])
                np.testing.assert_array_equal(sent[number][index], driven)


def test_robosuite_does_the_same_in_workers(
    lift_task: SimTask, lift_environment: RobosuiteEnvironment
) -> None:
    assert STATE in lift_environment.context.features
    assert_same(partial(RobosuiteEnvironment, lift_task), lift_environment, 30, processes=2)


@pytest.mark.rendering
def test_cameras_see_the_same_in_workers(lift_task: SimTask) -> None:
    make = partial(RobosuiteEnvironment, lift_task.with_cameras(("agentview",), 32, 40))
    with closing(make()) as alone:
        assert "observation.images.agentview" in alone.context.features
        assert_same(make, alone, 2, processes=1)


def test_an_unknown_robot(lift_task: SimTask) -> None:
    task = replace(lift_task, simulator=replace(lift_task.simulator, robots=("Marvin",)))
    with pytest.raises(SimulationError, match=r"^unknown robot 'Marvin'; robosuite has"):
        ProcessEnvironments(partial(RobosuiteEnvironment, task), 1, 1)
