from __future__ import annotations

import torch

from robolearn.policies.memory.past_actions import PastActions

FRAMES = torch.zeros(4000, 1, 1)


def test_the_whole_past_of_the_named_share_of_samples_is_hidden() -> None:
    torch.manual_seed(0)
    past = torch.randn(4000, 3, 2)
    seen = PastActions(2, 3, dropout=0.3).train()(past, None, FRAMES)
    assert seen.shape == (4000, 3, 3)
    flags = seen[..., 2]
    assert ((flags == 0) | (flags == 1)).all()
    assert (flags == flags[:, :1]).all(), "all of a sample's past or none"
    hidden = flags[:, 0] == 0
    assert abs(hidden.float().mean() - 0.3) < 4 * (0.3 * 0.7 / 4000) ** 0.5
    assert (seen[hidden] == 0).all()
    torch.testing.assert_close(seen[~hidden][..., :2], past[~hidden])


def test_nothing_is_hidden_otherwise() -> None:
    past = torch.randn(4000, 3, 2)
    for module in (PastActions(2, 3, dropout=0.9).eval(), PastActions(2, 3, dropout=0.0).train()):
        seen = module(past, None, FRAMES)
        torch.testing.assert_close(seen, torch.cat([past, torch.ones(4000, 3, 1)], -1))


def test_padding_is_zero_and_flagged_whatever_it_holds() -> None:
    past = torch.randn(2, 3, 2)
    is_pad = torch.tensor([[True, True, False], [False, False, False]])
    seen = PastActions(2, 3, dropout=0.5).eval()(past, is_pad, FRAMES[:2])
    assert (seen[0, :2] == 0).all()
    assert seen[..., 2].tolist() == [[0, 0, 1], [1, 1, 1]]
    torch.testing.assert_close(seen[0, 2, :2], past[0, 2])


def test_what_is_left_out_is_all_zero() -> None:
    seen = PastActions(2, 3, dropout=0.5)(None, None, FRAMES[:5])
    torch.testing.assert_close(seen, torch.zeros(5, 3, 3))
