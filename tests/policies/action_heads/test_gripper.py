from __future__ import annotations

import itertools

import pytest
import torch

from robolearn.policies.action_heads.config import GripperConfig
from robolearn.policies.action_heads.gripper import (
    GripperDistribution,
    GripperHead,
    GripperHysteresis,
)


def test_all_that_can_happen_has_probability_one() -> None:
    distribution = GripperDistribution(torch.randn(1, 2, 2))
    chunks = torch.tensor(list(itertools.product([0, 1], repeat=4))).view(-1, 1, 2, 2)
    log_probs = torch.cat([distribution.log_prob(chunk) for chunk in chunks])
    assert log_probs.exp().sum().item() == pytest.approx(1, abs=1e-5)
    entropy = -(log_probs.exp() * log_probs).sum()
    torch.testing.assert_close(distribution.entropy()[0], entropy)
    best = chunks[log_probs.argmax()]
    assert torch.equal(distribution.mode(), best.bool())


def test_samples_have_their_probabilities() -> None:
    distribution = GripperDistribution(torch.tensor([[[1.0], [-2.0]]]).expand(20000, 2, 1))
    drawn = distribution.sample(torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.float().mean(0), distribution.probs[0], atol=0.01, rtol=0)


def test_the_loss_is_the_weighted_cross_entropy_of_what_is_no_padding() -> None:
    torch.manual_seed(0)
    head = GripperHead(3, 2, 1, GripperConfig(closed_weight=4.0))
    features = torch.randn(2, 3)
    closed = torch.tensor([[[True], [False]], [[False], [True]]])
    is_pad = torch.tensor([[False, False], [False, True]])
    probs = head.distribution(features).probs.squeeze(-1)
    expected = -(4 * probs[0, 0].log() + (1 - probs[0, 1]).log() + (1 - probs[1, 0]).log()) / 3
    torch.testing.assert_close(head.losses(features, closed, is_pad)["gripper"], expected)


def test_no_gripper_has_no_loss() -> None:
    head = GripperHead(3, 2, 0, GripperConfig())
    losses = head.losses(torch.randn(4, 3), torch.zeros(4, 2, 0), torch.zeros(4, 2).bool())
    assert losses["gripper"] == 0
    distribution = head.distribution(torch.randn(4, 3))
    assert distribution.mode().shape == (4, 2, 0)
    assert distribution.log_prob(torch.zeros(4, 2, 0)).tolist() == [0] * 4


def test_hysteresis_keeps_the_state_between_the_two_probabilities() -> None:
    hysteresis = GripperHysteresis(GripperConfig(close_above=0.7, open_below=0.3))
    probs = [0.4, 0.6, 0.71, 0.6, 0.31, 0.29, 0.5, 0.7, 0.9]
    closed = [hysteresis(torch.tensor([[prob]])).item() for prob in probs]
    assert closed == [False, False, True, True, True, False, False, False, True]
    hysteresis.reset()
    assert hysteresis(torch.tensor([[0.6]])).item()


def test_hysteresis_keeps_grippers_apart() -> None:
    hysteresis = GripperHysteresis(GripperConfig(close_above=0.7, open_below=0.3))
    hysteresis(torch.tensor([[0.9, 0.1]]))
    assert hysteresis(torch.tensor([[0.5, 0.5]])).tolist() == [[True, False]]
