from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from robolearn.cli.main import run as robolearn
from robolearn.episodes.formats import open_dataset
from robolearn.errors import ConfigurationError
from robolearn.learning.cloning import clone
from robolearn.learning.config import CloningConfig
from robolearn.learning.run import Run
from robolearn.policies.action_heads.config import ActionHeadConfig, MixtureConfig
from robolearn.policies.auxiliary.config import AuxiliaryConfig
from robolearn.policies.config import PolicyConfig
from robolearn.policies.memory.config import MemoryConfig

CONFIG = CloningConfig(
    policy=PolicyConfig(
        memory=MemoryConfig(history=2, hidden=(32,), dropout=0.0),
        action=ActionHeadConfig(mixture=MixtureConfig(modes=2)),
    ),
    steps=20,
    batch=16,
    warmup=5,
    log_every=5,
)
AUXILIARY = ("arm_pose", "final_pose", "object_pose", "next_observation", "inverse_dynamics")
CHUNKS = dataclasses.replace(
    CONFIG.policy, horizon=8, auxiliary=AuxiliaryConfig(**dict.fromkeys(AUXILIARY, 0.5), hidden=8)
)
SEQUENCES = dataclasses.replace(
    CHUNKS, memory=MemoryConfig(kind="lstm", history=6, hidden=(32,), dropout=0.0)
)
"""Of ten episodes with 12 steps: a good half of what their windows hold is padding."""


def train(dataset: Path, path: Path, **changes: object) -> Run:
    config = dataclasses.replace(CONFIG, **changes)
    with Run.train(path, config, open_dataset(dataset), resume=False) as run:
        clone(open_dataset(dataset), run, config, lambda *_: None)
    return run


def weights(run: Run) -> dict[str, torch.Tensor]:
    return load_file(run.policy / "model.safetensors")


def assert_close(one: Run, other: Run) -> None:
    """Sums in another order differ in their last bits."""
    for mine, theirs in zip(one.read_metrics(), other.read_metrics(), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-4, abs=1e-5)
    for name, value in weights(one).items():
        assert torch.allclose(value, weights(other)[name], rtol=1e-3, atol=1e-4), name


@pytest.mark.parametrize("policy", [CONFIG.policy, CHUNKS, SEQUENCES])
def test_a_batch_in_parts_is_the_whole_batch(
    line_dataset: Path, tmp_path: Path, policy: PolicyConfig
) -> None:
    whole = train(line_dataset, tmp_path / "whole", policy=policy)
    assert_close(whole, train(line_dataset, tmp_path / "parts", policy=policy, accumulate=4))


def in_two_processes(
    dataset: Path, to: Path, **changes: object
) -> subprocess.CompletedProcess[str]:
    """Train as `CONFIG` says, by the command line."""
    options = {"steps": 20, "batch": 16, "warmup": 5, "log-every": 5} | changes
    memory = {"history": 2, "hidden": 32, "dropout": 0}
    options = {f"policy.memory.{name}": value for name, value in memory.items()} | options
    options["policy.action.mixture.modes"] = 2
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    train_command = ["-m", "robolearn", "train", str(dataset), "--to", str(to)]
    named = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return subprocess.run(
        [*launch, "--nproc-per-node", "2", *train_command, *named],
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_two_processes_train_as_one(line_dataset: Path, tmp_path: Path) -> None:
    whole = train(line_dataset, tmp_path / "whole")
    done = in_two_processes(line_dataset, tmp_path / "two")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("policy in") == 1
    assert_close(whole, Run(tmp_path / "two"))


def test_two_processes_train_as_one_with_padding_and_parts(
    line_dataset: Path, tmp_path: Path
) -> None:
    whole = train(line_dataset, tmp_path / "whole", policy=SEQUENCES)
    auxiliary = {name.replace("_", "-"): 0.5 for name in AUXILIARY} | {"hidden": 8}
    options = {f"policy.auxiliary.{name}": value for name, value in auxiliary.items()}
    options |= {"policy.memory.kind": "lstm", "policy.memory.history": 6}
    options |= {"policy.horizon": 8, "accumulate": 2}
    done = in_two_processes(line_dataset, tmp_path / "two", **options)
    assert done.returncode == 0, done.stderr
    assert_close(whole, Run(tmp_path / "two"))


def test_processes_on_cpus_find_each_other(line_dataset: Path, tmp_path: Path) -> None:
    """What trains alone gives the same figures; but two do not share 15 windows equally."""
    done = in_two_processes(line_dataset, tmp_path / "two", batch=15)
    assert done.returncode != 0
    assert "in 1 parts by 2 processes" in done.stderr
    assert not (tmp_path / "two").exists()


def test_a_batch_that_cannot_be_shared_out_is_refused(line_dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"batch of 16 windows .* in 3 parts"):
        train(line_dataset, tmp_path / "run", accumulate=3)


def test_bfloat16_is_near_and_kept_as_float32(line_dataset: Path, tmp_path: Path) -> None:
    exact = train(line_dataset, tmp_path / "exact")
    short = train(line_dataset, tmp_path / "short", precision="bfloat16")
    assert all(value.dtype == torch.float32 for value in weights(short).values())
    losses = [run.read_metrics()[-1]["train/total"] for run in (exact, short)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], abs=0.1)


def test_a_policy_is_tried_while_it_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, to = str(tmp_path / "data"), tmp_path / "run"
    record = ["record", "gym:CartPole-v1", "--by", "random", "--to", data, "--episodes", "3"]
    assert robolearn([*record, "--processes", "1"]) == 0
    train_command = ["train", data, "--to", str(to), "--steps", "4", "--evaluate-every", "2"]
    assert robolearn(train_command) == 2
    assert "belong together" in capsys.readouterr().err
    assert not to.exists()
    steps = ["--steps", "1", "--evaluate-every", "1000"]  # so that no trial is ever due
    assert robolearn([*train_command, *steps, "--on", "gym:Pendulum-v1"]) == 2
    assert "the policy does not fit gym:Pendulum-v1: " in capsys.readouterr().err
    assert not to.exists()
    options = ["--on", "sim:cartpole", "--evaluate-episodes", "1"]
    assert robolearn([*train_command, *options]) == 0
    tried = [row for row in Run(to).read_metrics() if "trial/return" in row]
    assert [row["step"] for row in tried] == [2, 4]
    assert all(1 <= row["trial/return"] <= 500 for row in tried)
    assert not list(to.glob(".trial*"))
