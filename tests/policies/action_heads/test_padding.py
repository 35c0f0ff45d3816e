from __future__ import annotations

import torch

from robolearn.policies.action_heads.padding import hold_last, mean_over_steps, sum_of_steps


def test_the_last_action_is_held() -> None:
    actions = torch.arange(12.0).view(2, 3, 2)
    is_pad = torch.tensor([[False, True, True], [False, False, True]])
    expected = [[[0, 1], [0, 1], [0, 1]], [[6, 7], [8, 9], [8, 9]]]
    assert hold_last(actions, is_pad).tolist() == expected


def test_means_are_over_what_is_no_padding() -> None:
    values = torch.tensor([[1.0, 100.0], [2.0, 6.0]])
    is_pad = torch.tensor([[False, True], [False, False]])
    sums = sum_of_steps(values, is_pad)
    assert sums.tolist() == [1, 8]
    assert mean_over_steps(sums, is_pad) == 3


def test_nothing_but_padding_has_no_loss() -> None:
    is_pad = torch.ones(2, 2, dtype=torch.bool)
    assert mean_over_steps(sum_of_steps(torch.randn(2, 2), is_pad), is_pad) == 0
