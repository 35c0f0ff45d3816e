"""What each head makes of demonstrations that go two ways, and what only some can tell apart."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from robolearn.episodes.features import ActionFeature
from robolearn.policies.action_heads.base import ActionDistribution
from robolearn.policies.action_heads.config import (
    ActionHeadConfig,
    AutoregressiveConfig,
    DiffusionConfig,
    FlowConfig,
    Head,
    RealNvpConfig,
    VaeConfig,
)
from robolearn.policies.action_heads.registry import make_action_head

SMALL = ActionHeadConfig(
    autoregressive=AutoregressiveConfig(bins=32, hidden=64),
    vae=VaeConfig(latent=1, hidden=64, scale=0.25),
    realnvp=RealNvpConfig(couplings=4, hidden=32),
    diffusion=DiffusionConfig(steps=20, width=64, depth=2),
    flow=FlowConfig(steps=20, width=64, depth=2),
)
SEVERAL_WAYS: tuple[Head, ...] = (
    "mixture",
    "autoregressive",
    "vae",
    "realnvp",
    "diffusion",
    "flow",
)
BATCH = 128


def one_element(observed: torch.Tensor) -> torch.Tensor:
    """(B, 1) → (B, 1): +1, whatever is seen; the other way is −1."""
    return torch.ones_like(observed)


def two_elements(observed: torch.Tensor) -> torch.Tensor:
    """(B, 1) → (B, 2): a direction that turns with what is seen; the other way is its opposite."""
    return torch.cat([(1.5 * observed).cos(), (1.5 * observed).sin()], -1)


def learn(
    name: Head, way: Callable[[torch.Tensor], torch.Tensor], steps: int
) -> tuple[ActionDistribution, torch.Tensor]:
    """Train a head and an encoder; what it makes of 1,000 observations, and one of their ways."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)

    def demonstrations(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        observed = 2 * torch.rand(count, 1, generator=generator) - 1
        sign = 2.0 * torch.randint(2, (count, 1), generator=generator) - 1
        return observed, (sign * way(observed))[:, None]

    size = way(torch.zeros(1, 1)).shape[1]
    action = ActionFeature("float32", (size,), low=(-1.0,) * size, high=(1.0,) * size)
    config = ActionHeadConfig(**{**vars(SMALL), "head": name})
    head = make_action_head(config, 32, 1, action)
    head.fit(demonstrations(1000)[1].flatten(1))
    encoder = nn.Sequential(nn.Linear(1, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    is_pad = torch.zeros(BATCH, 1, dtype=torch.bool)
    for _ in range(steps):
        observed, actions = demonstrations(BATCH)
        optimizer.zero_grad()
        head.losses(encoder(observed), actions, is_pad)["action"].backward()
        optimizer.step()
        schedule.step()
    observed = 2 * torch.rand(1000, 1, generator=generator) - 1
    return head.eval().distribution(encoder(observed)), way(observed)[:, None]


def shares(actions: torch.Tensor, way: torch.Tensor) -> tuple[float, float]:
    """How many of the actions go this way, and how many the other."""
    return tuple(
        ((actions - sign * way).norm(dim=-1) < 0.3).float().mean().item() for sign in (1, -1)
    )


@pytest.mark.parametrize("way", [one_element, two_elements])
@pytest.mark.parametrize("name", SEVERAL_WAYS)
def test_samples_go_both_ways_and_nowhere_else(name: Head, way) -> None:
    distribution, there = learn(name, way, 400)
    # With its own noise of 0.25, what the VAE draws is near no way; without, it must be as the others.
    noise = (True,) if name == "vae" else (False, True)
    for low_noise in noise:
        drawn = distribution.sample(torch.Generator().manual_seed(1), low_noise=low_noise)
        one, other = shares(drawn, there)
        assert one + other >= 0.9
        assert min(one, other) >= 0.35
    assert sum(shares(distribution.mode(), there)) >= 0.9


@pytest.mark.parametrize("way", [one_element, two_elements])
@pytest.mark.parametrize("name", ["deterministic", "gaussian"])
def test_one_mode_lies_between_the_ways(name: Head, way) -> None:
    distribution, there = learn(name, way, 200)
    middle = distribution.mode()
    assert middle.norm(dim=-1).mean() < 0.15
    assert sum(shares(middle, there)) == 0
