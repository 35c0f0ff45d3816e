"""How much a policy has changed, beside Gaussians, of which it is known."""

from __future__ import annotations

import math

import pytest
import torch

from robolearn.learning.updates.divergence import divergence, least_divergence


def log_ratios(shift: float, count: int = 200_000) -> torch.Tensor:
    """Of samples of N(0, 1), where the new density is N(shift, 1)."""
    actions = torch.randn(count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return shift * actions - shift**2 / 2


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5, 2.0])
def test_gaussians(shift: float) -> None:
    change = log_ratios(shift)
    assert divergence(change).item() == pytest.approx(shift**2 / 2, abs=0.01)
    total_variation = math.erf(shift / 2 / math.sqrt(2))
    assert least_divergence(change).item() == pytest.approx(2 * total_variation**2, abs=0.01)
    assert least_divergence(change) <= divergence(change)


def test_one_action_far_out() -> None:
    usual = log_ratios(0.2, 1000)
    likelier, unlikelier = (torch.cat([usual, torch.tensor([far])]) for far in (6.0, -60.0))
    assert divergence(likelier).item() == pytest.approx(divergence(usual).item(), abs=0.007)
    assert least_divergence(unlikelier) < least_divergence(usual) + 0.001
    assert divergence(unlikelier) > divergence(usual) + 0.05
