"""A policy that never learnt practises a pole's balance, from demonstrations of a simple rule."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from robolearn.agents.agent import Agent
from robolearn.cli.console import Console
from robolearn.cli.main import run
from robolearn.control.simulation import record_episodes
from robolearn.environments.targets import load_target
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import Array, EpisodeContext, Observation
from robolearn.errors import SimulationError
from robolearn.learning.finetuning.practice import Practising
from robolearn.learning.run import Run
from robolearn.policies.checkpoint import load_policy

Finetune = Callable[..., int]


class Balancing(Agent):
    """Pushes to the side to which the pole falls."""

    def __init__(self, context: EpisodeContext) -> None:
        (self._state,) = (name for name in context.features if name.startswith("observation."))

    def reset(self, seed: int) -> None: ...

    def act(self, observation: Observation) -> Array:
        _, _, angle, falls = observation.values[self._state]
        return np.array([float(angle + falls > 0)], np.float32)


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pole") / "demos"
    task = load_target("sim:cartpole")
    with FolderWriter(folder) as writer:
        kept = record_episodes(
            task, Balancing, "balancing", range(3), writer, lambda outcome: True, 1
        )
        assert len(list(kept)) == 3
    return folder


@pytest.fixture(scope="module")
def clone(demos: Path) -> Path:
    folder = demos.with_name("clone")
    assert run(["train", str(demos), "--to", str(folder), "--steps", "1"]) == 0
    return folder


@pytest.fixture
def finetune(clone: Path, demos: Path, tmp_path: Path) -> Finetune:
    def finetune(
        *more: str, policy: Path = clone, on: str = "sim:cartpole", shown: Path = demos
    ) -> int:
        where = [str(policy), "--on", on, "--demos", str(shown), "--to", str(tmp_path / "run")]
        few = ["--episodes", "2", "--validation-episodes", "2", "--processes", "1"]
        small = ["--reward.discriminator.batch", "8", "--update.off-policy.batch", "16"]
        return run(["finetune", *where, *few, *small, *more])

    return finetune


def test_a_policy_practises_and_the_time_is_told(
    finetune: Finetune, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finetune("--steps", "20", "--json") == 0
    told = capsys.readouterr()
    result = json.loads(told.out)
    assert Path(result["policy"]).is_dir()
    assert Path(result["report"]).is_file()
    assert re.search(r"before practice: (return|success) \S+ in this trial", told.err)
    assert "20 steps may be all warm-up" in told.err
    # In the warm-up the policy stays as it is; of equals the newest is kept.
    assert result["kept_from_step"] == result["metrics"]["step"]
    assert f"after {result['kept_from_step']} steps is kept" in told.err
    shares = result["time_shares"]
    assert set(shares) == {"physics", "learning"}
    assert all(0 < share < 1 for share in shares.values())
    assert re.search(r"of the time, \d+% saw physics and \d+% learning", told.err)
    rows = Run(tmp_path / "run").read_metrics()
    for row in rows:
        parts = ("rollouts", "trials", "reward", "policy")
        spent = sum(row.get(f"seconds/{part}", 0.0) for part in parts)
        assert 0 < spent <= row["seconds/all"]
    assert run(["evaluate", result["run"], "--on", "sim:cartpole", "--episodes", "1"]) == 0


def test_interrupted_it_goes_on_with_resume(
    finetune: Finetune,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as pressed:
        pressed.setattr(Console, "progress", ctrl_c_at_the_second_report)
        assert finetune("--steps", "100") == 130
    assert "--resume goes on" in capsys.readouterr().err
    before = Run(tmp_path / "run").read_metrics()
    assert finetune("--steps", "100") == 2
    assert "--resume" in capsys.readouterr().err
    assert finetune("--steps", "100", "--resume") == 0
    after = Run(tmp_path / "run").read_metrics()
    assert after[: len(before)] == before
    assert after[-1]["step"] >= 100
    capsys.readouterr()
    assert finetune("--steps", "100", "--resume") == 0
    assert "finished already" in capsys.readouterr().out


def test_a_run_goes_on_from_what_it_was_begun_with(
    finetune: Finetune,
    clone: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert finetune("--resume") == 2
    assert "no run in" in capsys.readouterr().err
    with monkeypatch.context() as pressed:
        pressed.setattr(Console, "progress", ctrl_c_at_the_second_report)
        assert finetune("--steps", "100") == 130
    capsys.readouterr()
    other = shutil.copytree(clone, tmp_path / "other")
    assert finetune("--steps", "100", "--resume", policy=other) == 2
    assert f"from {clone / 'policy'} on sim:cartpole, not with" in capsys.readouterr().err


def test_interrupted_before_anything_was_done_it_leaves_nothing(
    finetune: Finetune,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def press(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Practising, "try_average", press)
    assert finetune() == 130
    assert "nothing was done yet" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_what_fails_before_anything_was_done_does_not_stand_in_the_way(
    finetune: Finetune,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(practising: Practising) -> None:
        raise SimulationError("no simulator today")

    monkeypatch.setattr(Practising, "iterate", fail)
    assert finetune() == 2
    assert "no simulator today" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_of_another_command_is_not_gone_on_with(
    finetune: Finetune, clone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(clone, tmp_path / "run")
    assert finetune("--resume") == 2
    assert "of another command or another robolearn" in capsys.readouterr().err


def test_demonstrations_of_another_task_are_refused_before_simulators_start(
    finetune: Finetune, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robolearn.cli.finetune.Finetune._environments", None)
    assert finetune(on="sim:lift") == 2
    told = capsys.readouterr().err
    assert "what the task names as relevant is not observed" in told
    assert "there are observation." in told


def test_who_cannot_practise_is_refused_before_simulators_start(
    finetune: Finetune,
    demos: Path,
    clone: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chunks = tmp_path / "chunks"
    train = ["train", str(demos), "--to", str(chunks), "--steps", "1", "--policy.horizon", "4"]
    assert run(train) == 0
    monkeypatch.setattr("robolearn.cli.finetune.Finetune._environments", None)
    for options, policy, said in (
        ([], chunks, "train one with --policy.horizon 1"),
        (["--reward.features", "nose"], clone, "no element of an observation is called 'nose'"),
        (["--reward.discriminator.batch", "100000"], clone, "learns from 100000 at once"),
    ):
        assert finetune(*options, policy=policy) == 2
        told = capsys.readouterr().err.strip()
        assert said in told.splitlines()[-1]
        assert "Traceback" not in told
        assert not (tmp_path / "run").exists()


@contextlib.contextmanager
def ctrl_c_at_the_second_report(
    console: Console, title: str
) -> Iterator[Callable[[int, int, str], None]]:
    """In the place of `Console.progress`."""
    reports = itertools.count(1)

    def report(done: int, total: int, text: str) -> None:
        if next(reports) == 2:
            raise KeyboardInterrupt

    yield report


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--update.off-policy.batch", "11"], "--update.off-policy.batch: input should be a multi"),
        (["--averaging", "inf"], "--averaging: input should be a finite number"),
        (["--update.off-policy.actor-rate", "2"], "--update.off-policy.actor-rate: input should"),
        (["--validation-episodes", "1"], "--validation-episodes: input should"),
        (["--update.method", "dreaming"], "dreaming"),
        (["--episodes", "0"], "--episodes: input should"),
    ],
)
def test_wrong_arguments_are_one_line(
    finetune: Finetune,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    assert finetune(*arguments) == 2
    told = capsys.readouterr().err.strip()
    assert said in told.splitlines()[-1]
    assert "Traceback" not in told


def test_what_is_not_there_is_named(
    finetune: Finetune, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "nowhere"
    for of in ({"policy": nowhere}, {"shown": nowhere}, {"on": "sim:nowhere"}):
        assert finetune(**of) == 2
        assert "nowhere" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.rendering
def test_a_policy_that_sees_images_practises(finetune: Finetune, tmp_path: Path) -> None:
    demos, clone = tmp_path / "images", tmp_path / "clone"
    small = ["--cameras", "agentview", "--camera-height", "24", "--camera-width", "32"]
    record = ["record", "sim:around", "--episodes", "1", "--processes", "1", *small]
    assert run([*record, "--to", str(demos)]) == 0
    sees = ["--policy.inputs", "observation.images.agentview"]
    assert run(["train", str(demos), "--to", str(clone), "--steps", "1", *sees]) == 0
    with_images = {"policy": clone, "on": "sim:around", "shown": demos}
    assert finetune("--steps", "1", "--episodes", "1", "--warmup", "0", **with_images) == 0
    practised = load_policy(tmp_path / "run" / "policy")
    assert practised.schema.images == ("observation.images.agentview",)
    assert Run(tmp_path / "run").read_metrics()[-1]["policy/steps_rejected"] == 0
