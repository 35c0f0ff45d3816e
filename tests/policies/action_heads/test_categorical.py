from __future__ import annotations

import itertools

import pytest
import torch

from robolearn.policies.action_heads.categorical import Categorical, CategoricalHead


@pytest.fixture
def categorical() -> Categorical:
    """Two steps of two elements: one of 0 and 1, one of -1 to 2."""
    torch.manual_seed(0)
    return CategoricalHead(5, 2, (0, -1), (1, 2)).distribution(torch.randn(1, 5))


def chunks() -> torch.Tensor:
    step = list(itertools.product((0, 1), (-1, 0, 1, 2)))
    return torch.tensor(list(itertools.product(step, step)))


def test_all_chunks_together_have_probability_one(categorical: Categorical) -> None:
    log_probs = torch.stack([categorical.log_prob(chunk[None]) for chunk in chunks()])
    assert log_probs.exp().sum().item() == pytest.approx(1, abs=1e-5)
    entropy = -(log_probs.exp() * log_probs).sum().item()
    assert categorical.entropy().item() == pytest.approx(entropy, abs=1e-5)
    best = chunks()[log_probs.argmax()]
    assert torch.equal(categorical.mode()[0], best)


def test_numbers_out_of_range_are_impossible(categorical: Categorical) -> None:
    for wrong in ([2, 0], [-1, 0], [0, -2], [0, 3]):
        chunk = torch.tensor([[[0, 0], wrong]])
        assert categorical.log_prob(chunk).item() == -torch.inf


def test_real_numbers_that_are_whole_are_taken(categorical: Categorical) -> None:
    chunk = torch.tensor([[[1, -1], [0, 2]]])
    assert torch.equal(categorical.log_prob(chunk), categorical.log_prob(chunk.float()))


def test_samples_have_their_probabilities() -> None:
    torch.manual_seed(0)
    head = CategoricalHead(5, 1, (0, -1), (1, 2))
    distribution = head.distribution(torch.randn(1, 5).expand(20000, -1))
    drawn = distribution.sample(torch.Generator().manual_seed(0))
    assert drawn.dtype == torch.int64
    assert drawn[..., 0].unique().tolist() == [0, 1]
    assert drawn[..., 1].unique().tolist() == [-1, 0, 1, 2]
    shares = torch.stack([(drawn[:, 0, 1] == number).float().mean() for number in range(-1, 3)])
    torch.testing.assert_close(shares, distribution.probs[0, 0, 1], atol=0.015, rtol=0)
    assert (distribution.probs[:, 0, 0, 2:] == 0).all()
