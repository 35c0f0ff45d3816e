"""Actions of a chunk that lie after the end of an episode."""

from __future__ import annotations

import torch


def hold_last(actions: torch.Tensor, is_pad: torch.Tensor) -> torch.Tensor:
    """Each action that is padding becomes the last one before it that is not.

    Args:
        actions: (B, H, A).
        is_pad: (B, H) bool.

    Returns:
        (B, H, A).
    """
    steps = torch.arange(is_pad.shape[1], device=is_pad.device)
    last = torch.where(is_pad, 0, steps).cummax(1).values
    return actions.gather(1, last[..., None].expand_as(actions))


def sum_of_steps(values: torch.Tensor, is_pad: torch.Tensor) -> torch.Tensor:
    """(..., B, H) values of each step → (..., B), the sum over what is no padding."""
    return values.masked_fill(is_pad, 0).sum(-1)


def mean_over_steps(sums: torch.Tensor, is_pad: torch.Tensor) -> torch.Tensor:
    """(B,) sums over the steps of each chunk → scalar, the mean over all that are no padding."""
    return sums.sum() / (~is_pad).sum().clamp_min(1)
