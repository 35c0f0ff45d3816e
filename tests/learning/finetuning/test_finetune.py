from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
from points import Points
from safetensors.torch import load_file

from robolearn.episodes.formats import open_dataset
from robolearn.errors import ConfigurationError, FeatureMismatch, TrainingError
from robolearn.learning.finetuning.config import FinetuningConfig
from robolearn.learning.finetuning.finetune import finetune
from robolearn.learning.rewards.config import DiscriminatorConfig, RewardConfig
from robolearn.learning.run import Run
from robolearn.learning.updates.config import OffPolicyConfig, PpoConfig, UpdateConfig
from robolearn.policies.checkpoint import load_policy
from robolearn.policies.config import PolicyConfig
from robolearn.policies.policy import Policy

CONFIG = FinetuningConfig(
    reward=RewardConfig(discriminator=DiscriminatorConfig(hidden=(16,), batch=32, updates=3)),
    update=UpdateConfig(method="ppo", ppo=PpoConfig(passes=2)),
    steps=8 * 12 * 6,
    episodes=8,
    warmup=1,
    validate_every=2,
    validation_episodes=8,
)


def practise(
    policy: Policy,
    dataset: Path,
    path: Path,
    config: FinetuningConfig = CONFIG,
    *,
    resume: bool = False,
    stop_at: int = 0,
) -> Policy:
    """Practise; press Ctrl-C when so many steps are reported."""

    def progress(done: int, total: int, text: str) -> None:
        assert total == config.steps
        if done == stop_at:
            raise KeyboardInterrupt

    opened = open_dataset(dataset)
    with Run.train(path, config, opened, resume=resume, command=("finetune",)) as run:
        return finetune(policy, opened, Points(8), (), run, config, progress)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_file(path / "policy" / "model.safetensors")


def test_a_run_keeps_the_policy_and_figures(
    untrained, points_dataset: Path, tmp_path: Path
) -> None:
    practise(untrained(), points_dataset, tmp_path / "run")
    rows = Run(tmp_path / "run").read_metrics()
    assert [row["step"] for row in rows] == [0, *range(96, 577, 96)]
    tried = [row["step"] for row in rows if "valid/success" in row]
    assert tried == [0, 192, 384, 576]
    assert {"reward/accuracy", "reward/held_out_accuracy", "policy/divergence"} <= rows[-1].keys()
    assert not (tmp_path / "run" / "checkpoints").exists()
    load_policy(tmp_path / "run")
    assert "robolearn finetune" in (tmp_path / "run" / "config.toml").read_text()


@pytest.mark.parametrize("method", ["ppo", "off-policy"])
def test_stopped_and_resumed_it_gives_the_same_weights(
    method: str, untrained, points_dataset: Path, tmp_path: Path
) -> None:
    off_policy = OffPolicyConfig(batch=32, hidden=16)
    update = dataclasses.replace(CONFIG.update, method=method, off_policy=off_policy)
    config = dataclasses.replace(CONFIG, update=update)
    practise(untrained(), points_dataset, tmp_path / "whole", config)
    for stop_at in (288, 480):
        with pytest.raises(KeyboardInterrupt):
            practise(
                untrained(),
                points_dataset,
                tmp_path / "parts",
                config,
                resume=stop_at > 288,
                stop_at=stop_at,
            )
    practise(untrained(), points_dataset, tmp_path / "parts", config, resume=True)
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(one[name], other[name]) for name in one)
    rows = [
        [
            {key: value for key, value in row.items() if not key.startswith("seconds/")}
            for row in Run(tmp_path / name).read_metrics()
        ]
        for name in ("whole", "parts")
    ]
    assert rows[0] == rows[1]


def test_what_is_finished_is_left_as_it_is(untrained, points_dataset: Path, tmp_path: Path) -> None:
    practise(untrained(), points_dataset, tmp_path / "run")
    before = weights(tmp_path / "run")
    practise(untrained(), points_dataset, tmp_path / "run", resume=True)
    assert all(
        torch.equal(value, before[name]) for name, value in weights(tmp_path / "run").items()
    )


def test_another_config_is_told_by_its_keys(
    untrained, points_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        practise(untrained(), points_dataset, tmp_path / "run", stop_at=192)
    other = dataclasses.replace(CONFIG, cloning=0.7)
    with pytest.raises(TrainingError, match="cloning"):
        practise(untrained(), points_dataset, tmp_path / "run", other, resume=True)


def test_practice_ends_when_the_policy_falls_back_again_and_again(
    untrained, points_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from robolearn.learning.finetuning import practice

    scores = iter([0.9, *[0.0] * 20])
    real = practice.Best.see

    def see(self: practice.Best, policy: torch.nn.Module, of: list[float]) -> bool:
        return real(self, policy, [next(scores)] * len(of))

    monkeypatch.setattr(practice.Best, "see", see)
    config = dataclasses.replace(CONFIG, steps=10_000, patience=2)
    practise(untrained(), points_dataset, tmp_path / "run", config)
    rows = Run(tmp_path / "run").read_metrics()
    assert rows[-1]["valid/set_back"] == 3
    assert rows[-1]["step"] == 3 * 2 * 96
    first = untrained().state_dict()
    kept = weights(tmp_path / "run")
    assert all(torch.equal(value, first[name]) for name, value in kept.items())


def test_policies_that_cannot_practise_are_refused(
    untrained, points_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="'deterministic' has no density"):
        practise(untrained("deterministic"), points_dataset, tmp_path / "run")
    one = untrained()
    chunks = Policy(one.schema, dataclasses.replace(one.config, horizon=4))
    with pytest.raises(ConfigurationError, match="decides on 4 actions at once"):
        practise(chunks, points_dataset, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_demonstrations_of_another_task_are_refused(
    untrained, line_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(FeatureMismatch, match="does not fit the demonstrations"):
        practise(untrained(), line_dataset, tmp_path / "run")


def test_a_checkpoint_that_is_another_s_is_refused(
    untrained, points_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        practise(untrained(), points_dataset, tmp_path / "run", stop_at=192)
    one = untrained()
    memory = dataclasses.replace(one.config.memory, hidden=(8,))
    other = Policy(one.schema, PolicyConfig(memory=memory)).eval()
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    with pytest.raises(TrainingError, match="checkpoint is of another policy"):
        practise(other, points_dataset, tmp_path / "copy", resume=True)
