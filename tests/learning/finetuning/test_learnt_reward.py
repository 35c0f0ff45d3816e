"""What was learnt in practice is kept, and asked of recorded episodes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from points import Points

from robolearn.episodes.formats import open_dataset
from robolearn.errors import FeatureMismatch, TrainingError
from robolearn.learning.finetuning.config import FinetuningConfig
from robolearn.learning.finetuning.finetune import finetune
from robolearn.learning.finetuning.practice import Practising
from robolearn.learning.rewards.config import DiscriminatorConfig, RewardConfig
from robolearn.learning.rewards.learnt import LearntReward, load_reward
from robolearn.learning.run import Run
from robolearn.learning.updates.config import PpoConfig, UpdateConfig
from robolearn.policies.checkpoint import load_policy

CONFIG = FinetuningConfig(
    reward=RewardConfig(discriminator=DiscriminatorConfig(hidden=(16,), batch=32, updates=3)),
    update=UpdateConfig(method="ppo", ppo=PpoConfig(passes=1)),
    steps=8 * 12,
    warmup=1,
    validation_episodes=4,
)


@pytest.fixture
def practising(untrained, points_dataset: Path):
    def make(method: str = "gail") -> Practising:
        config = dataclasses.replace(
            CONFIG, reward=dataclasses.replace(CONFIG.reward, method=method)
        )
        practising = Practising(untrained(), open_dataset(points_dataset), Points(8), (), config)
        practising.iterate()
        return practising

    return make


@pytest.mark.parametrize("method", ["gail", "airl", "state-only"])
def test_read_again_it_says_the_same(
    practising, points_dataset: Path, tmp_path: Path, method: str
) -> None:
    made = practising(method)
    made.save_reward(tmp_path / "reward")
    episode = open_dataset(points_dataset).episode(0)
    again = load_reward(tmp_path / "reward", made.policy).along(episode)
    assert again.shape == (len(episode) - 1,)
    first = made._demonstrations[torch.arange(len(episode) - 1)]
    assert again == pytest.approx(made.reward.reward(first).numpy(), abs=1e-5)
    assert np.ptp(again) > 0


def test_a_finished_run_has_it(untrained, points_dataset: Path, tmp_path: Path) -> None:
    opened = open_dataset(points_dataset)
    with Run.train(tmp_path / "run", CONFIG, opened, resume=False) as run:
        finetune(untrained(), opened, Points(8), (), run, CONFIG, lambda *_: None)
    reward = load_reward(run.reward, load_policy(run.path))
    assert np.isfinite(reward.along(opened.episode(0))).all()
    assert not list(run.path.glob(".*.part"))


def test_there_is_none(untrained, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no learnt reward in .*finetune"):
        load_reward(tmp_path / "reward", untrained())


def test_it_is_cut_off(practising, tmp_path: Path) -> None:
    made, folder = practising(), tmp_path / "reward"
    made.save_reward(folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(TrainingError, match=r"model\.safetensors: no readable weights"):
        load_reward(folder, made.policy)
    description = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(description | {"format_version": 9}))
    with pytest.raises(TrainingError, match="format version 9"):
        load_reward(folder, made.policy)
    (folder / "config.json").write_text("{")
    with pytest.raises(TrainingError, match=r"config\.json: no readable reward"):
        load_reward(folder, made.policy)


def test_episodes_without_what_it_sees(practising, points_dataset: Path, tmp_path: Path) -> None:
    made = practising()
    made.save_reward(tmp_path / "reward")
    reward: LearntReward = load_reward(tmp_path / "reward", made.policy)
    context = open_dataset(points_dataset).context
    reward.require_fit(context, "these")
    with pytest.raises(FeatureMismatch, match=r"those: observation\.state\.point is missing"):
        reward.require_fit(dataclasses.replace(context, features={}), "those")
