"""Diffusion and flow matching."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from robolearn.policies.action_heads.config import DiffusionConfig, FlowConfig
from robolearn.policies.action_heads.denoising import Denoiser, DenoisingHead
from robolearn.policies.action_heads.diffusion import DiffusionHead
from robolearn.policies.action_heads.flow import FlowHead

DEVIATION = 0.3


def heads(steps: int) -> dict[str, DenoisingHead]:
    torch.manual_seed(0)
    diffusion = DiffusionHead(4, 3, 2, DiffusionConfig(steps=steps, width=16, depth=2))
    return {
        "diffusion": diffusion,
        "flow": FlowHead(4, 3, 2, FlowConfig(steps=steps, width=16, depth=2)),
    }


class Perfect(nn.Module):
    """What a network that has learnt N(0, DEVIATION²) perfectly would answer."""

    def __init__(self, answer) -> None:
        super().__init__()
        self.answer = answer

    def films(self, features: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        return times

    def forward(self, noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        return self.answer(noisy, times)


def velocity(noisy: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    variance = (time * DEVIATION) ** 2 + (1 - time) ** 2
    return (time * DEVIATION**2 - (1 - time)) / variance * noisy


@pytest.mark.parametrize("name", ["diffusion", "flow"])
def test_perfect_answers_turn_noise_into_the_demonstrations(name: str) -> None:
    head = heads(100)[name]

    def velocity_of_diffusion(noisy: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        level = (time * 100).round().long()
        signal, noise = head.signal[level], head.noise[level]
        variance = (signal * DEVIATION) ** 2 + noise**2
        return signal * noise * (1 - DEVIATION**2) / variance * noisy

    head.denoiser = Perfect({"diffusion": velocity_of_diffusion, "flow": velocity}[name])
    drawn = head.distribution(torch.randn(5000, 4)).sample(torch.Generator().manual_seed(0))
    assert drawn.std().item() == pytest.approx(DEVIATION, rel=0.05)
    assert drawn.mean().item() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("name", ["diffusion", "flow"])
def test_the_target_leads_back_to_the_chunk(name: str) -> None:
    head = heads(10)[name]
    chunk = torch.randn(500, 6)
    noisy, times, target = head.corrupt(chunk, torch.Generator().manual_seed(0))
    assert 0 <= times.min() < 0.05 < 0.95 < times.max() < 1
    times = times[:, None]
    if name == "flow":
        torch.testing.assert_close(noisy + (1 - times) * target, chunk, atol=1e-4, rtol=1e-4)
    else:
        level = (times * 100).round().long()
        back = head.signal[level] * noisy - head.noise[level] * target
        torch.testing.assert_close(back, chunk, atol=1e-4, rtol=1e-4)


def test_levels_go_from_almost_nothing_to_noise_alone() -> None:
    head = heads(10)["diffusion"]
    torch.testing.assert_close(head.signal**2 + head.noise**2, torch.ones(100))
    assert head.noise[0] < 0.05
    assert head.signal[-1] < 0.01
    assert (head.signal.diff() < 0).all()


def test_a_chunk_of_diffusion_stays_in_the_demonstrations_range() -> None:
    head = heads(10)["diffusion"]
    head.fit(torch.tensor([[-0.2, 0.0], [0.1, 0.5]]))
    drawn = head.distribution(torch.randn(100, 4)).sample(torch.Generator().manual_seed(0))
    assert (drawn >= torch.tensor([-0.2, 0.0])).all()
    assert (drawn <= torch.tensor([0.1, 0.5])).all()


def test_films_of_all_steps_are_those_of_each() -> None:
    torch.manual_seed(0)
    denoiser, features = Denoiser(4, 6, 16, 2), torch.randn(3, 4)
    times = torch.tensor([0.0, 0.3, 0.9])
    together = denoiser.films(features, times[:, None])
    for step, time in enumerate(times):
        torch.testing.assert_close(together[step], denoiser.films(features, time.repeat(3)))
    assert not torch.allclose(together[0], together[1])
