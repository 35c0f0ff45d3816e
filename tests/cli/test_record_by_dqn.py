from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from robolearn.cli.main import run
from robolearn.environments.targets import load_target
from robolearn.episodes.formats.folder import FolderDataset
from robolearn.learning import dqn

STEPS = 1300  # the first 1,000 are only looked at


def record(*arguments: object) -> int:
    return run(["record", *map(str, arguments), "--by", "dqn", "--processes", "1"])


def test_what_dqn_learns_records_and_is_practised_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the expert to a policy that practised, one step of each."""
    pytest.importorskip("stable_baselines3")
    monkeypatch.setattr(dqn, "learn_q_network", partial(dqn.learn_q_network, steps=STEPS))
    demos, clone, practised = tmp_path / "demos", tmp_path / "clone", tmp_path / "practised"
    assert record("sim:cartpole", "--to", demos, "--episodes", 3) == 0
    dataset = FolderDataset(demos)
    assert [episode.agent for episode in dataset.episodes(range(3))] == ["dqn"] * 3
    assert run(["train", str(demos), "--to", str(clone), "--steps", "1"]) == 0
    command = ["finetune", str(clone), "--on", "sim:cartpole", "--demos", str(demos)]
    few = ["--steps", "1", "--episodes", "2", "--validation-episodes", "2", "--processes", "1"]
    method = ["--update.method", "reinforce", "--reward.discriminator.batch", "8"]
    assert run([*command, "--to", str(practised), *few, *method]) == 0
    assert (practised / "policy").is_dir()


def test_the_same_seed_learns_the_same_network() -> None:
    pytest.importorskip("stable_baselines3")
    task = load_target("gym:CartPole-v1")
    reported: list[int] = []

    def learnt(seed: int) -> dqn.QNetwork:
        return dqn.learn_q_network(
            task, seed, lambda done, total, text: reported.append(done), steps=STEPS
        )

    first, again, other = learnt(0), learnt(0), learnt(1)
    assert reported[:3] == [500, 1000, STEPS]
    assert first.inputs == ("observation.state",)
    assert [weight.shape for weight in first.weights] == [(256, 4), (256, 256), (2, 256)]
    for mine, same in zip(first.weights, again.weights, strict=True):
        assert np.array_equal(mine, same)
    assert not np.array_equal(first.weights[0], other.weights[0])


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("gym:Pendulum-v1", "continuous values"),
        ("sim:lift", "discrete actions"),
    ],
)
def test_what_dqn_cannot_learn_is_refused_in_one_line(
    target: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("stable_baselines3")
    assert record(target, "--to", tmp_path / "demos") == 2
    message = capsys.readouterr().err
    assert said in message
    assert len(message.splitlines()) == 1
    assert not (tmp_path / "demos").exists()


def test_a_missing_extra_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    assert record("sim:cartpole", "--to", tmp_path / "demos") == 2
    message = capsys.readouterr().err
    assert "robolearn[experts]" in message
    assert len(message.splitlines()) == 1
