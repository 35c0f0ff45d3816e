from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from robolearn.policies.action_heads.config import VaeConfig
from robolearn.policies.action_heads.densities import normal_log_density
from robolearn.policies.action_heads.vae import VaeHead

NO_PADDING = torch.zeros(4, 2, dtype=torch.bool)


def make(**options: float) -> VaeHead:
    torch.manual_seed(0)
    head = VaeHead(3, 2, 1, VaeConfig(latent=1, hidden=16, scale=0.5, **options))
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return head


@pytest.mark.parametrize("learnt_prior", [False, True])
def test_many_draws_reach_the_likelihood(learnt_prior: bool) -> None:
    head = make(draws=4000, learnt_prior=learnt_prior)
    features, actions = torch.randn(4, 3), torch.randn(4, 2, 1)
    loss = head.losses(features, actions, NO_PADDING)["action"].item()
    mean, scale = head.prior(features)
    latents = mean[:, None] + scale[:, None] * torch.linspace(-6, 6, 4001)[:, None]
    chunks = head.decode(features[:, None].expand(-1, 4001, -1), latents)
    log_density = normal_log_density(actions[:, None], chunks, torch.tensor(0.5)).sum((-2, -1))
    log_density = log_density + normal_log_density(latents, mean[:, None], scale[:, None])[..., 0]
    step = 12 / 4000 * scale[:, 0]
    expected = -(torch.logsumexp(log_density, 1) + step.log()).mean().item() / 2
    assert loss == pytest.approx(expected, abs=0.02)


def test_one_draw_is_the_usual_bound() -> None:
    features, actions = torch.randn(4, 3), torch.randn(4, 2, 1)
    for beta in (0.0, 1.0, 2.5):
        losses = make(draws=1, beta=beta).losses(features, actions, NO_PADDING)
        expected = losses["reconstruction"] + beta * losses["kl"]
        torch.testing.assert_close(losses["action"], expected)


def test_the_mode_is_where_most_latents_lead() -> None:
    """A decoder that leads to +1 from most latents, and anywhere from the others."""

    class Mostly(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            latent = inputs[..., -1:]
            return torch.where(latent.abs() < 0.9, 1.0, 5 * latent).expand(*latent.shape[:-1], 2)

    head = make()
    head.decoder = Mostly()
    mode = head.distribution(torch.randn(3, 3)).mode()
    torch.testing.assert_close(mode, torch.ones(3, 2, 1))


def test_low_noise_leaves_out_the_noise_about_what_is_decoded() -> None:
    distribution = make().distribution(torch.randn(1, 3).expand(20000, -1))
    quiet = distribution.sample(torch.Generator().manual_seed(0), low_noise=True)
    loud = distribution.sample(torch.Generator().manual_seed(0))
    assert (loud - quiet).std().item() == pytest.approx(0.5, rel=0.02)
    assert math.isclose((loud - quiet).mean().item(), 0, abs_tol=0.02)


def test_a_chunk_of_nothing_but_padding_has_no_loss() -> None:
    """As sequence memories have before the episode's first frame."""
    is_pad = torch.tensor([[False, False], [False, True], [True, True], [True, True]])
    features, actions = torch.randn(4, 3, requires_grad=True), torch.randn(4, 2, 1)
    losses = make().losses(features, actions, is_pad, torch.Generator().manual_seed(0))
    sum(losses.values()).backward()
    assert features.grad is not None
    assert (features.grad.abs().sum(1) > 0).tolist() == [True, True, False, False]
