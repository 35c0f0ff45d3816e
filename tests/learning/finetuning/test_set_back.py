"""What becomes of a policy that does worse in a trial."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from points import Points

from robolearn.episodes.formats import open_dataset
from robolearn.learning.finetuning.config import FinetuningConfig
from robolearn.learning.finetuning.practice import Practising
from robolearn.learning.rewards.config import DiscriminatorConfig, RewardConfig
from robolearn.learning.updates.config import UpdateConfig

CONFIG = FinetuningConfig(
    reward=RewardConfig(discriminator=DiscriminatorConfig(hidden=(8,), batch=16, updates=1)),
    update=UpdateConfig(method="reinforce"),
    warmup=0,
    patience=0,
    validation_episodes=8,
)


@pytest.mark.parametrize("set_back", [True, False])
def test_it_goes_back_or_on_as_the_config_says(
    set_back: bool, untrained, points_dataset: Path
) -> None:
    config = replace(CONFIG, set_back=set_back)
    dataset = open_dataset(points_dataset)
    practising = Practising(untrained(), dataset, Points(8), (), config)
    practising.try_average()
    practising.best.score = 2.0  # better than any can be
    practising.iterate()
    changed = [value.clone() for value in practising.policy.parameters()]
    figures = practising.try_average()
    best = [practising.best.weights[name] for name, _ in practising.policy.named_parameters()]
    expected = best if set_back else changed
    assert not all(map(torch.equal, best, changed))
    assert all(map(torch.equal, practising.policy.parameters(), expected))
    assert figures["valid/set_back"] == set_back
    assert practising.gives_up == set_back
