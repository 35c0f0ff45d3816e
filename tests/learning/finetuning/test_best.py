import pytest
import torch
from torch import nn

from robolearn.learning.finetuning.best import Best


def layer(value: float) -> nn.Linear:
    made = nn.Linear(1, 1, bias=False)
    nn.init.constant_(made.weight, value)
    return made


def trial(successes: int) -> list[float]:
    return [1.0] * successes + [0.0] * (40 - successes)


def test_the_best_is_kept_and_of_equals_the_newest() -> None:
    best = Best()
    for value, successes in ((1.0, 20), (2.0, 30), (3.0, 30), (4.0, 28)):
        assert not best.see(layer(value), trial(successes))
    assert best.weights["weight"].item() == 3
    assert best.score == 0.75
    assert best.is_better


def test_only_what_cannot_be_chance_is_a_fall() -> None:
    best = Best()
    best.see(layer(1.0), trial(36))
    assert not best.see(layer(2.0), trial(27))
    assert best.see(layer(3.0), trial(22))
    assert best.fallen == 1
    assert not best.is_better  # than the first
    assert best.weights["weight"].item() == 1


def test_it_goes_on_from_its_tensors() -> None:
    best, again = Best(), Best()
    for successes in (20, 36, 10):
        best.see(layer(successes), trial(successes))
    again.load_state_dict(best.state_dict())
    assert (again.score, again.fallen, again.is_better) == (best.score, 1, True)
    assert torch.equal(again.weights["weight"], best.weights["weight"])
    assert again.see(layer(0), trial(10)) == best.see(layer(0), trial(10))


@pytest.mark.parametrize("returns", [[20.0, 30.0, 25.0], [500.0] * 3])
def test_returns_are_as_good_as_successes(returns: list[float]) -> None:
    best = Best()
    assert not best.see(layer(1.0), returns)
    assert best.see(layer(2.0), [9.0, 10.0, 9.5])
