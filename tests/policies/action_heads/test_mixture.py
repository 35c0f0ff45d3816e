from __future__ import annotations

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from robolearn.policies.action_heads.config import MixtureConfig
from robolearn.policies.action_heads.mixture import Mixture, MixtureHead


@pytest.fixture
def mixture() -> Mixture:
    torch.manual_seed(0)
    head = MixtureHead(5, 3, 2, MixtureConfig(modes=4, least_scale=0.1))
    return head.distribution(3 * torch.randn(6, 5))


def test_the_density_is_torchs(mixture: Mixture) -> None:
    actions = torch.randn(6, 3, 2)
    theirs = MixtureSameFamily(
        Categorical(mixture.mode_weights),
        Independent(Normal(mixture.mode_actions, mixture.mode_scales), 2),
    )
    torch.testing.assert_close(mixture.log_prob(actions), theirs.log_prob(actions))
    assert mixture.mode_scales.min() >= 0.1


def test_without_padding_it_is_the_marginal(mixture: Mixture) -> None:
    is_pad = torch.tensor([[False, False, True]] * 6)
    found = mixture.log_prob_without_padding(torch.zeros(6, 3, 2), is_pad)
    theirs = MixtureSameFamily(
        Categorical(mixture.mode_weights),
        Independent(Normal(mixture.mode_actions[:, :, :2], mixture.mode_scales[:, :, :2]), 2),
    )
    torch.testing.assert_close(found, theirs.log_prob(torch.zeros(6, 2, 2)))


def test_the_mode_is_the_heaviest_gaussians_mean(mixture: Mixture) -> None:
    heaviest = mixture.mode_weights.argmax(-1)
    for row, mode in enumerate(mixture.mode()):
        assert torch.equal(mode, mixture.mode_actions[row, heaviest[row]])


def test_low_noise_draws_means_by_their_weights() -> None:
    weights = torch.tensor([0.5, 0.3, 0.2])
    means = torch.tensor([-1.0, 0.0, 2.0])
    rows = 20000
    mixture = Mixture(
        weights.log().expand(rows, 3),
        means.view(1, 3, 1, 1).expand(rows, 3, 1, 1),
        torch.zeros(rows, 3, 1, 1),
        0.05,
    )
    drawn = mixture.sample(torch.Generator().manual_seed(0), low_noise=True).flatten()
    shares = torch.stack([(drawn == mean).float().mean() for mean in means])
    torch.testing.assert_close(shares, weights, atol=0.01, rtol=0)
