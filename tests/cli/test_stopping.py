"""What a user's Ctrl-C and a full disk leave behind. In processes of their own, as in a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import PEERS_INDEX, count_episodes
from robolearn.learning.success import Evaluation
from robolearn.policies.checkpoint import load_policy, save_policy
from robolearn.policies.config import PolicyConfig
from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.policy import Policy
from robolearn.policies.schema import PolicySchema

COMMAND = [sys.executable, "-m", "robolearn"]


def robolearn(*arguments: object, expect: int = 0) -> str:
    """Run to the end; what it said on both streams."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == expect, done.stderr
    return done.stdout + done.stderr


def interrupt(*arguments: object, when: Callable[[], bool]) -> str:
    """Start, press Ctrl-C once ``when`` is true, and give the last line said."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not when():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to every process of the group
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    return said.splitlines()[-1]


def assert_intact(dataset: Path, at_least: int) -> None:
    assert count_episodes(dataset) >= at_least
    for path in (dataset, dataset / PEERS_INDEX):
        assert_readable(path)
    assert not list(dataset.rglob("*.part"))


@pytest.fixture
def lift_policy(lift_demonstrations: Path, tmp_path: Path) -> Path:
    schema = PolicySchema.of(open_dataset(lift_demonstrations).context, ())
    save_policy(Policy(schema, PolicyConfig(memory=MemoryConfig(hidden=(8,)))), tmp_path / "policy")
    return tmp_path / "policy"


@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_while_recording(tmp_path: Path, processes: int) -> None:
    dataset = tmp_path / "demos"
    line = interrupt(
        *("record", "sim:lift", "--to", dataset, "--episodes", 500, "--processes", processes),
        when=lambda: count_episodes(dataset) >= 2,
    )
    assert line.startswith("robolearn: stopped: ")
    assert f"{dataset} has {count_episodes(dataset)}" in line
    assert_intact(dataset, at_least=2)
    # What was recorded is what an unbroken recording has.
    seeds = [open_dataset(dataset).episode(index).context.seed for index in range(2)]
    assert seeds == [0, 1]


_NEVER_ENDS = """
import signal, sys, time
from robolearn.cli import main

class Struck:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

def run(arguments):
    {strike}
    time.sleep(60)
    return 0

main._run = run
main.main([])
"""


_IN_A_DESTRUCTOR = "Struck()"
_IN_AN_IMPORT = """try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt as error:
        raise ImportError("initialization failed") from error"""


@pytest.mark.parametrize("strike", [_IN_A_DESTRUCTOR, _IN_AN_IMPORT])
def test_ctrl_c_is_never_lost(strike: str) -> None:
    script = _NEVER_ENDS.format(strike=strike)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.stderr == "robolearn: stopped: what was finished before is intact\n"
    assert done.returncode == 130


def test_what_fails_while_ctrl_c_is_answered_is_told() -> None:
    strike = """try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise OSError(28, "No space left on device")"""
    script = _NEVER_ENDS.format(strike=strike)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.stderr.startswith("robolearn: error: the disk is full")
    assert done.returncode == 2


def test_ctrl_c_while_training(tmp_path: Path, lift_demonstrations: Path) -> None:
    run = tmp_path / "run"
    line = interrupt(
        *("train", lift_demonstrations, "--to", run, "--steps", 1_000_000, "--log-every", 10),
        when=lambda: (
            (run / "metrics.jsonl").is_file() and (run / "metrics.jsonl").stat().st_size > 0
        ),
    )
    assert line.startswith("robolearn: stopped: what was done is kept in")
    assert "--resume" in line
    assert list((run / "checkpoints").glob("step_*/state.safetensors"))
    assert not (run / "policy").exists()


def test_ctrl_c_while_evaluating(tmp_path: Path, lift_policy: Path) -> None:
    episodes = lift_policy / "evaluation.unfinished"
    line = interrupt(
        *("evaluate", lift_policy, "--on", "sim:lift", "--episodes", 500),
        when=lambda: count_episodes(episodes) >= 1,
    )
    assert line.startswith("robolearn: stopped: ")
    assert f"{count_episodes(episodes)} of 500 episodes are kept" in line
    assert_intact(episodes, at_least=1)
    assert not (lift_policy / "evaluation.json").exists()
    assert not (lift_policy / "evaluation").exists()
    load_policy(lift_policy)


def test_a_quickstart_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    out = tmp_path / "quickstart"
    request = ["quickstart", "--out", out, "--demonstrations", 3, "--episodes", 2, "--steps", 300]
    metrics = out / "run" / "metrics.jsonl"
    line = interrupt(*request, when=lambda: metrics.is_file() and metrics.stat().st_size > 0)
    assert line.endswith(f"the same quickstart goes on with {out}")
    assert_intact(out / "demonstrations", at_least=3)
    assert "ask for the same" in robolearn(*request[:-1], 301, expect=2)

    said = robolearn(*request)
    assert "[1/5]" not in said  # the demonstrations are there
    assert "[2/5] robolearn train" in said
    assert "--resume" in said
    evaluation = Evaluation.read(out / "run" / "evaluation.json")
    assert str(evaluation) in said
    for name in ("demonstrations.rrd", "evaluation.rrd", "run/report.html", "run/policy"):
        assert (out / name).exists()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert f"is finished: {evaluation}" in robolearn(*request)
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*")}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 KB, where one may be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_while_recording(small_disk: Path) -> None:
    dataset = small_disk / "demos"
    said = robolearn("record", "sim:lift", "--to", dataset, "--episodes", 20, expect=2)
    assert said.splitlines()[-1].startswith("robolearn: error: the disk is full")
    assert "Traceback" not in said
    assert_intact(dataset, at_least=2)


def test_a_full_disk_while_training(small_disk: Path, lift_demonstrations: Path) -> None:
    run = small_disk / "run"
    network = ("--policy.memory.hidden", 32, "--policy.action.mixture.modes", 2)
    said = robolearn(
        *("train", lift_demonstrations, "--to", run, "--steps", 9000, *network),
        *("--checkpoint-every", 50, "--log-every", 1),
        expect=2,
    )
    assert said.splitlines()[-1].startswith("robolearn: error: the disk is full")
    assert "Traceback" not in said
    assert list((run / "checkpoints").glob("step_*/state.safetensors"))


def test_a_full_disk_while_evaluating(small_disk: Path, lift_policy: Path) -> None:
    policy = small_disk / "policy"
    save_policy(load_policy(lift_policy), policy)
    said = robolearn("evaluate", policy, "--on", "sim:lift", "--episodes", 20, expect=2)
    assert said.splitlines()[-1].startswith("robolearn: error: the disk is full")
    assert "Traceback" not in said
    assert_intact(policy / "evaluation.unfinished", at_least=1)
    load_policy(policy)


def test_a_full_disk_while_laying_out_a_recording(
    small_disk: Path, lift_demonstrations: Path
) -> None:
    recording = small_disk / "demos.rrd"
    said = robolearn("view", lift_demonstrations, "--save", recording, expect=2)
    assert said.splitlines()[-1].startswith("robolearn: error: the disk is full")
    assert list(small_disk.iterdir()) == []


def test_simulators_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    dataset = tmp_path / "demos"
    process = subprocess.Popen(
        [*COMMAND, "record", "sim:lift", "--to", str(dataset), "--episodes", "500"]
        + ["--processes", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    while not count_episodes(dataset):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    # Whoever holds the other end of the pipe open is still alive.
    process.communicate(timeout=30)
    assert_readable(dataset)


def assert_readable(dataset: Path) -> None:
    opened = open_dataset(dataset)
    assert all(len(episode) == 80 for episode in opened.episodes(opened.split("all")))
