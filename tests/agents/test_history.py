from __future__ import annotations

import pytest
import torch

from robolearn.agents.history import History


@pytest.mark.parametrize("length", [1, 2, 5])
def test_it_is_the_last_rows_in_order(length: int) -> None:
    history = History(length, 2)
    rows = [torch.tensor([[[float(step), -float(step)]]]) for step in range(1, 14)]
    for count, row in enumerate(rows, start=1):
        history.append(row)
        missing = max(length - count, 0)
        expected = torch.cat([torch.zeros(1, missing, 2), *rows[max(count - length, 0) : count]], 1)
        assert torch.equal(history.block, expected)
        if missing:
            assert history.is_pad is not None
            assert history.is_pad[0].tolist() == [True] * missing + [False] * (length - missing)
        else:
            assert history.is_pad is None
    history.clear()
    assert not history.block.any()
    assert history.is_pad is not None
    assert history.is_pad.all()


def test_what_it_is_filled_with_counts_as_padding() -> None:
    history = History(3, 1)
    history.fill(torch.tensor([[[4.0]]]))
    history.append(torch.tensor([[[5.0]]]))
    assert history.block.flatten().tolist() == [4, 4, 5]
    assert history.is_pad is not None
    assert history.is_pad.tolist() == [[True, True, False]]
