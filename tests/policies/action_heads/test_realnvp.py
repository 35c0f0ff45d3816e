from __future__ import annotations

import pytest
import torch

from robolearn.policies.action_heads.config import RealNvpConfig
from robolearn.policies.action_heads.realnvp import RealNvpHead


@pytest.fixture
def head() -> RealNvpHead:
    torch.manual_seed(0)
    head = RealNvpHead(4, 2, 3, RealNvpConfig(couplings=4, hidden=16, modes=3))
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.4 * torch.randn_like(parameter))
    return head.eval()


def test_there_and_back_again(head: RealNvpHead) -> None:
    conditions = head.couplings.conditions(torch.randn(5, 4))
    base = torch.randn(5, 7, 2, 3)
    actions, log_det = head.couplings.to_actions(base, conditions)
    again, back = head.couplings.to_base(actions, conditions)
    torch.testing.assert_close(again, base, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(back, -log_det)
    assert (actions - base).abs().mean() > 0.1


def test_the_determinant_is_that_of_the_jacobian(head: RealNvpHead) -> None:
    conditions = head.couplings.conditions(torch.randn(1, 4))
    base = torch.randn(1, 1, 2, 3)

    def bend(values: torch.Tensor) -> torch.Tensor:
        return head.couplings.to_actions(values.view(1, 1, 2, 3), conditions)[0].flatten()

    jacobian = torch.autograd.functional.jacobian(bend, base.flatten())
    log_det = head.couplings.to_actions(base, conditions)[1]
    torch.testing.assert_close(log_det.squeeze(), torch.linalg.slogdet(jacobian).logabsdet)


def test_the_mode_is_the_densest_of_the_mapped_middles(head: RealNvpHead) -> None:
    distribution = head.distribution(torch.randn(5, 4))
    modes = distribution.mode_actions
    densities = torch.stack([distribution.log_prob(modes[:, each]) for each in range(3)], 1)
    best = distribution.log_prob(distribution.mode())
    torch.testing.assert_close(best, densities.amax(1), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(distribution.mode_weights.sum(1), torch.ones(5))


def test_noise_is_added_while_training_only(head: RealNvpHead) -> None:
    features, actions = torch.randn(5, 4), torch.zeros(5, 2, 3)
    is_pad = torch.zeros(5, 2, dtype=torch.bool)

    def loss() -> torch.Tensor:
        return head.losses(features, actions, is_pad)["action"]

    assert torch.equal(loss(), loss())
    head.train()
    assert not torch.equal(loss(), loss())
