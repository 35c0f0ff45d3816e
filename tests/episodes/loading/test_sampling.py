from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
import torch

from robolearn.episodes.loading.sampling import WindowOrder
from robolearn.errors import ConfigurationError, TrainingError


def drawn(order: WindowOrder, batches: int) -> list[int]:
    return torch.cat([next(order) for _ in range(batches)]).tolist()


@pytest.mark.parametrize(("batch", "batches"), [(5, 4), (20, 1), (10, 2), (40, 1), (1, 20)])
def test_an_epoch_holds_each_window_once(batch: int, batches: int) -> None:
    order = WindowOrder([3, 12, 5], batch, seed=0)
    frames = drawn(order, batches * 3)
    for epoch in range(len(frames) // 20):
        assert sorted(frames[epoch * 20 : (epoch + 1) * 20]) == list(range(20))
    assert frames[:20] != list(range(20))
    assert order.epoch == len(frames) / 20
    if len(frames) > 20:
        assert frames[:20] != frames[20:40]


def test_batches_that_do_not_fit_an_epoch_are_full_and_leave_nothing_out() -> None:
    order = WindowOrder([10], 4, seed=1)
    frames = drawn(order, 5)
    assert sorted(frames[:10]) == sorted(frames[10:]) == list(range(10))


def test_a_batch_may_be_larger_than_some_epochs() -> None:
    counts = Counter(drawn(WindowOrder([3], 16, seed=0), 3))
    assert counts == {0: 16, 1: 16, 2: 16}


def test_the_seed_decides_the_order() -> None:
    one, same, other = (drawn(WindowOrder([50], 10, seed), 7) for seed in (3, 3, 4))
    assert one == same
    assert one != other


@pytest.mark.parametrize("world_size", [2, 3, 7])
@pytest.mark.parametrize("weights", [None, [1.0, 3.0]])
def test_ranks_share_what_one_alone_would_draw(
    world_size: int, weights: list[float] | None
) -> None:
    """40 windows are no multiple of any of these batches."""
    ranks = [
        WindowOrder([10, 30], 4, 0, weights, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    alone = WindowOrder([10, 30], 4 * world_size, 0, weights)
    for _ in range(25):
        shares = [next(rank) for rank in ranks]
        assert {len(share) for share in shares} == {4}
        assert torch.equal(torch.stack(shares, dim=1).flatten(), next(alone))
    assert {rank.drawn for rank in ranks} == {25 * 4 * world_size}


@pytest.mark.parametrize("stop", [0, 1, 9, 10, 23])
@pytest.mark.parametrize("weights", [None, [2.0, 0.5]])
def test_a_resumed_order_goes_on_as_without_the_stop(
    stop: int, weights: list[float] | None
) -> None:
    whole, begun = (WindowOrder([11, 26], 4, 5, weights) for _ in range(2))
    expected = drawn(whole, 40)
    drawn(begun, stop) if stop else None
    state = json.loads(json.dumps(begun.state_dict()))
    resumed = WindowOrder([11, 26], 4, 5, weights)
    resumed.load_state_dict(state)
    assert drawn(resumed, 40 - stop) == expected[stop * 4 :]


def test_an_order_goes_on_with_another_number_of_ranks() -> None:
    expected = drawn(WindowOrder([37], 1, 0), 60)
    four = [WindowOrder([37], 3, 0, rank=rank, world_size=4) for rank in range(4)]
    for rank in four:
        drawn(rank, 2)
    alone = WindowOrder([37], 9, 0)
    alone.load_state_dict(four[2].state_dict())
    assert drawn(alone, 4) == expected[24:]


def test_windows_are_drawn_by_the_weight_of_their_episode() -> None:
    """Each epoch, a window comes its share of the draws, rounded up or down."""
    weights = np.array([1.0, 0.0, 2.5])
    lengths = [10, 7, 20]
    share = np.repeat(weights, lengths)
    share = share / share.sum() * 37
    order = WindowOrder(lengths, 37, seed=2, weights=list(weights))
    total = np.zeros(37)
    for _ in range(200):
        counts = np.bincount(next(order).numpy(), minlength=37)
        assert counts.sum() == 37
        assert (np.abs(counts - share) < 1).all()
        total += counts
    assert total[10:17].sum() == 0
    np.testing.assert_allclose(total / 200, share, atol=0.12)
    first = next(order)
    assert not torch.equal(first, first.sort().values)


def test_equal_weights_draw_each_window_once() -> None:
    order = WindowOrder([400, 600], 1000, seed=0, weights=[0.1, 0.1])
    assert sorted(next(order).tolist()) == list(range(1000))


def test_huge_and_tiny_weights_are_weights() -> None:
    order = WindowOrder([2, 2], 40, seed=0, weights=[1e308, 1e308])
    assert set(next(order).tolist()) == {0, 1, 2, 3}
    order = WindowOrder([2, 2], 40, seed=0, weights=[5e-324, 0])
    assert set(next(order).tolist()) == {0, 1}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "1 weights for 2 episodes"),
        ([1.0, -0.5], r"weight of episode 1 is -0\.5"),
        ([float("nan"), 1.0], "weight of episode 0 is nan"),
        ([1.0, float("inf")], "weight of episode 1 is inf"),
        ([0.0, 0.0], "all weights are 0"),
    ],
)
def test_weights_that_cannot_be_used_are_named(weights: list[float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        WindowOrder([3, 4], 2, 0, weights)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lengths": []}, "no windows"),
        ({"batch": 0}, "1 window or more, not 0"),
        ({"seed": -1}, "0 or more, not -1"),
        ({"rank": 2, "world_size": 2}, "rank 2 of 2"),
        ({"rank": -1}, "rank -1 of 1"),
        ({"batch": 4001}, "more than 1000 epochs of 4 windows"),
        ({"batch": 10**7}, "more than 1000 epochs of 4 windows"),
        ({"batch": 2001, "world_size": 2}, "each of 2 ranks is more"),
    ],
)
def test_what_gives_no_order_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        WindowOrder(**({"lengths": [4], "batch": 2, "seed": 0} | arguments))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed = 1, not 0"),
        ({"windows": 5}, "windows = 5, not 4"),
        ({"drawn": -1}, "how many"),
        ({"drawn": float("inf")}, "how many"),
        ({"drawn": "x"}, "how many"),
        ({"drawn": None}, "how many"),
        ({"seed": float("inf")}, "seed = inf, not 0"),
        ({"seed": "x"}, "seed = 'x', not 0"),
        ({"windows": None}, "windows = None, not 4"),
    ],
)
def test_a_state_of_something_else_is_refused(change: dict[str, int], message: str) -> None:
    order = WindowOrder([4], 2, 0)
    with pytest.raises(TrainingError, match=message):
        order.load_state_dict(order.state_dict() | change)
    with pytest.raises(TrainingError, match="seed = None"):
        order.load_state_dict({})
    with pytest.raises(TrainingError, match="no state of an order"):
        order.load_state_dict(None)  # type: ignore[arg-type]
    assert order.drawn == 0
