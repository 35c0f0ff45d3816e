"""Memory without recurrence: all frames at once."""

from __future__ import annotations

import torch

from robolearn.policies.layers import perceptron
from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.memory.memory import Memory


class StackMemory(Memory):
    """The frames and past actions side by side, and an MLP over K·W + P·(A + 1) numbers.

    Frames before the episode's beginning are taken as they come, which is repeats of the first.

    Args:
        width: W, of the vector of each frame.
        actions: A, elements of an action.
        config: how far back it looks, and how.
    """

    def __init__(self, width: int, actions: int, config: MemoryConfig) -> None:
        super().__init__(width, actions, config)
        size = config.history * width + config.past_actions * (actions + 1)
        self.layers = perceptron(size, config.hidden, config.dropout)
        self.width = config.hidden[-1]

    def each(
        self,
        frames: torch.Tensor,
        past_actions: torch.Tensor | None,
        frame_is_pad: torch.Tensor,
        past_action_is_pad: torch.Tensor | None,
    ) -> torch.Tensor:
        """As `Memory.each`, with F = N − K + 1 and P' = P + F − 1: frames with whole histories."""
        count = frames.shape[1] - self._history + 1
        vectors: torch.Tensor = self(
            _each_last(frames, self._history),
            _each_last(past_actions, self._count),
            frame_is_pad=_each_last(frame_is_pad, self._history),
            past_action_is_pad=_each_last(past_action_is_pad, self._count),
        )
        return vectors.view(len(frames), count, self.width)

    def remember(
        self,
        frames: torch.Tensor,
        past: torch.Tensor | None,
        frame_is_pad: torch.Tensor | None,
    ) -> torch.Tensor:
        stacked = frames.flatten(1)
        if past is not None:
            stacked = torch.cat([stacked, past.flatten(1)], dim=-1)
        vector: torch.Tensor = self.layers(stacked)
        return vector


def _each_last[Rows: (torch.Tensor, torch.Tensor | None)](rows: Rows, length: int) -> Rows:
    """(B, N, ...) → (B · (N − length + 1), length, ...): all the runs of this length, in order."""
    if rows is None or rows.shape[1] == length:
        return rows
    runs: torch.Tensor = rows.unfold(1, length, 1).movedim(-1, 2)
    return runs.flatten(0, 1)
