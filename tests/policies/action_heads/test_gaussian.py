from __future__ import annotations

import torch
from torch.distributions import Normal

from robolearn.policies.action_heads.config import GaussianConfig
from robolearn.policies.action_heads.gaussian import Gaussian, GaussianHead


def test_the_density_and_entropy_are_torchs() -> None:
    mean, scale, actions = torch.randn(3, 2, 4), torch.rand(3, 2, 4) + 0.1, torch.randn(3, 2, 4)
    ours, theirs = Gaussian(mean, scale), Normal(mean, scale)
    torch.testing.assert_close(ours.log_prob(actions), theirs.log_prob(actions).sum((1, 2)))
    torch.testing.assert_close(ours.entropy(), theirs.entropy().sum((1, 2)))
    assert torch.equal(ours.sample(low_noise=True), mean)


def test_no_deviation_is_below_the_least() -> None:
    head = GaussianHead(1, 1, 1, GaussianConfig(least_scale=0.5))
    with torch.no_grad():
        head.parameters_of_gaussian.bias.fill_(-100)
        head.parameters_of_gaussian.weight.zero_()
    distribution = head.distribution(torch.zeros(1, 1))
    best = distribution.log_prob(distribution.mode())
    torch.testing.assert_close(best, Normal(0.0, 0.5).log_prob(torch.zeros(1)))
