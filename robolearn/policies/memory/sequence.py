"""Memories that go through a history from its first frame to its last."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch.nn import functional

from robolearn.policies.memory.memory import Memory


class SequenceMemory(Memory):
    """A causal network over the frames, each with the action that led to it.

    It begins at the first of the K frames that belongs to the episode, each time anew. While it
    learns, it learns from each of its outputs, as robomimic's recurrent policies do (Mandlekar et
    al. 2021); when it decides, it is asked for the last one.

    Padding stands at the beginning. The sequences are moved forward over it, so that it stands
    behind what is asked for, where a causal network cannot see it: that is exact, and needs neither
    packing nor masks.
    """

    def each(
        self,
        frames: torch.Tensor,
        past_actions: torch.Tensor | None,
        frame_is_pad: torch.Tensor,
        past_action_is_pad: torch.Tensor | None,
    ) -> torch.Tensor:
        """As `Memory.each`, with F = N = K and P' = P or more."""
        past = None
        if self._count:
            given = slice(-self._count, None)
            past = self.past_actions(
                None if past_actions is None else past_actions[:, given],
                None if past_action_is_pad is None else past_action_is_pad[:, given],
                frames,
            )
        shift = frame_is_pad.sum(1, keepdim=True)
        places = torch.arange(frames.shape[1], device=frames.device)
        outputs = self.outputs(_moved(_with_actions(frames, past), places + shift))
        return _moved(outputs, places - shift)

    def remember(
        self,
        frames: torch.Tensor,
        past: torch.Tensor | None,
        frame_is_pad: torch.Tensor | None,
    ) -> torch.Tensor:
        sequence = _with_actions(frames, past)
        if frame_is_pad is None:
            return self.outputs(sequence)[:, -1]
        places = torch.arange(frames.shape[1], device=frames.device)
        shift = frame_is_pad.sum(1, keepdim=True)
        outputs = self.outputs(_moved(sequence, places + shift))
        return _moved(outputs, places[-1:] - shift).squeeze(1)

    @abstractmethod
    def outputs(self, sequence: torch.Tensor) -> torch.Tensor:
        """(B, K, D) → (B, K, ``width``), of which output k follows from inputs 0 to k only."""


def _moved(rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """(B, K, D) → (B, n, D), the rows at (B, n) places; those outside are of no meaning."""
    inside = places.clamp(0, rows.shape[1] - 1)
    return torch.take_along_dim(rows, inside.unsqueeze(-1), dim=1)


def _with_actions(frames: torch.Tensor, past: torch.Tensor | None) -> torch.Tensor:
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
