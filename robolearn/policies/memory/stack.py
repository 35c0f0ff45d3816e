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
