"""How far a step of the on-policy methods goes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from points import Points

from robolearn.episodes.formats import open_dataset
from robolearn.learning.finetuning.config import FinetuningConfig
from robolearn.learning.finetuning.practice import Practising
from robolearn.learning.rewards.config import DiscriminatorConfig, RewardConfig
from robolearn.learning.updates.base import Practice
from robolearn.learning.updates.config import PpoConfig, TrpoConfig, UpdateConfig
from robolearn.learning.updates.divergence import divergence, least_divergence
from robolearn.learning.updates.on_policy import Judged, OnPolicy

CONFIG = FinetuningConfig(
    reward=RewardConfig(discriminator=DiscriminatorConfig(hidden=(8,), batch=32, updates=5)),
    warmup=0,
    cloning=0.0,
    cloning_at_end=0.0,
)


class Steps:
    """Practice, and what each step of the policy was judged by and gave.

    Attributes:
        taken: of each, log ρ and the advantages of what was done before it, and its figures.
    """

    def __init__(
        self, update: UpdateConfig, untrained, dataset: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.taken: list[tuple[torch.Tensor, torch.Tensor, dict[str, float]]] = []
        config = dataclasses.replace(CONFIG, update=update)
        self.practice = Practising(untrained(), open_dataset(dataset), Points(8), (), config)
        updated = self.practice.update
        assert isinstance(updated, OnPolicy)
        step = updated.step

        def kept(
            judged: Judged, practice: Practice, generator: torch.Generator
        ) -> dict[str, float]:
            figures = step(judged, practice, generator)
            with torch.no_grad():
                change = judged.change(self.practice.policy)
            self.taken.append((change, judged.advantages, figures))
            return figures

        monkeypatch.setattr(updated, "step", kept)


@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_trpo_keeps_to_its_limit_and_improves(
    rate: float, untrained, points_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = UpdateConfig(method="trpo", trpo=TrpoConfig(divergence=0.01))
    steps = Steps(update, untrained, points_dataset, monkeypatch)
    steps.practice.update.rate = rate
    for _ in range(6):
        steps.practice.iterate()
    limit = rate**2 * 0.01
    for change, advantages, figures in steps.taken:
        if figures["step_length"]:
            assert divergence(change) <= limit + 1e-6
            assert (change.exp() * advantages).mean() > advantages.mean()
        else:
            assert not change.any()
    assert max(divergence(change).item() for change, *_ in steps.taken) > limit / 3


@pytest.mark.parametrize(("limit", "all_passes"), [(1e-4, False), (1.0, True)])
def test_ppo_ends_its_passes_at_the_limit(
    limit: float,
    all_passes: bool,
    untrained,
    points_dataset: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ppo = PpoConfig(learning_rate=3e-3, batch=64, divergence=limit)
    update = UpdateConfig(method="ppo", ppo=ppo)
    steps = Steps(update, untrained, points_dataset, monkeypatch)
    steps.practice.iterate()
    ((change, _, figures),) = steps.taken
    assert (figures["passes"] == ppo.passes) == all_passes
    assert (least_divergence(change) <= limit) == all_passes


def test_ppo_gains_nothing_beyond_the_clip(
    untrained, points_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gained = []
    for clip in (0.1, 100.0):
        ppo = PpoConfig(learning_rate=3e-3, batch=64, divergence=1.0, passes=20, clip=clip)
        update = UpdateConfig(method="ppo", ppo=ppo)
        steps = Steps(update, untrained, points_dataset, monkeypatch)
        steps.practice.iterate()
        ((change, advantages, figures),) = steps.taken
        assert (figures["clipped"] > 0) == (clip == 0.1)
        wanted = (change.exp() - 1) * advantages.sign()
        gained.append(wanted.quantile(0.9).item())
    assert gained[0] < 0.5 * gained[1]
