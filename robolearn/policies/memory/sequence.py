"""Histories as sequences that begin with the episode."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional


def with_actions(frames: torch.Tensor, past: torch.Tensor | None) -> torch.Tensor:
    """Put to each frame the action that led to it, where it is seen.

    Args:
        frames: (B, K, W).
        past: (B, P, D) with P ≤ K; the last led to the last frame. None: no actions.

    Returns:
        (B, K, W + D), zeros where there is no action; or the frames.
    """
    if past is None:
        return frames
    lacking = frames.shape[1] - past.shape[1]
    if lacking:
        past = functional.pad(past, (0, 0, lacking, 0))
    return torch.cat([frames, past], dim=-1)


def last_output(
    causal: Callable[[torch.Tensor], torch.Tensor],
    sequence: torch.Tensor,
    is_pad: torch.Tensor | None,
) -> torch.Tensor:
    """Output of a causal network for the last element, in which padding has no part.

    Padding stands at the beginning. The sequences are moved forward over it, so that it stands
    behind what is asked for, where a causal network cannot see it: that is exact, and needs neither
    packing nor masks.

    Args:
        causal: (B, K, D) → (B, K, W'), of which output k follows from inputs 0 to k only.
        sequence: (B, K, D).
        is_pad: (B, K) bool, none in the last place; None means no padding.

    Returns:
        (B, W').
    """
    if is_pad is None:
        return causal(sequence)[:, -1]
    last = sequence.shape[1] - 1
    shift = is_pad.sum(1, keepdim=True)
    rows = torch.arange(last + 1, device=sequence.device) + shift
    moved = torch.take_along_dim(sequence, rows.clamp_max(last).unsqueeze(-1), dim=1)
    outputs = causal(moved)
    return torch.take_along_dim(outputs, (last - shift).unsqueeze(-1), dim=1).squeeze(1)
