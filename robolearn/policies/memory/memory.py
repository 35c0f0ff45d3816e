"""What memories have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.memory.past_actions import PastActions


class Memory(nn.Module, ABC):
    """From the vectors of K frames, and the P actions before the present one, to one vector.

    Args:
        width: W, of the vector of each frame.
        actions: A, elements of an action.
        config: how far back it looks, and how.

    Attributes:
        width: W', of what comes out.
    """

    width: int

    def __init__(self, width: int, actions: int, config: MemoryConfig) -> None:
        super().__init__()
        self._history = config.history
        self._count = config.past_actions
        self.past_actions = PastActions(actions, config.past_actions, config.past_action_dropout)

    def forward(
        self,
        frames: torch.Tensor,
        past_actions: torch.Tensor | None = None,
        *,
        frame_is_pad: torch.Tensor | None = None,
        past_action_is_pad: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Remember.

        Args:
            frames: (B, K, W), the present one last.
            past_actions: (B, P, A) normalised, the last one last; None hides them all, and so may
                a policy at run time that was trained with past-action dropout.
            frame_is_pad: (B, K) bool, the frame lies before the episode's beginning; None means
                that none does.
            past_action_is_pad: (B, P) bool, likewise.

        Returns:
            (B, ``width``).

        Raises:
            ValueError: the frames or actions are of another number than the config says.
        """
        if frames.shape[1] != self._history:
            raise ValueError(f"there are {frames.shape[1]} frames, not {self._history}")
        past = None
        if self._count:
            past = self.past_actions(past_actions, past_action_is_pad, frames)
        return self.remember(frames, past, frame_is_pad)

    @abstractmethod
    def each(
        self,
        frames: torch.Tensor,
        past_actions: torch.Tensor | None,
        frame_is_pad: torch.Tensor,
        past_action_is_pad: torch.Tensor | None,
    ) -> torch.Tensor:
        """A vector for each frame that a policy can learn from, the present one last.

        Args:
            frames: (B, N, W), N ≥ K.
            past_actions: (B, P', A) normalised, those before the present frame, as many as are
                needed for the earlier frames, too; None if P is 0.
            frame_is_pad: (B, N) bool, as in `forward`.
            past_action_is_pad: (B, P') bool.

        Returns:
            (B, F, ``width``) for the last F frames. What it says of padding means nothing.
        """

    @abstractmethod
    def remember(
        self,
        frames: torch.Tensor,
        past: torch.Tensor | None,
        frame_is_pad: torch.Tensor | None,
    ) -> torch.Tensor:
        """Make one vector of it.

        Args:
            frames: (B, K, W).
            past: (B, P, A + 1) from `PastActions`; None if P is 0.
            frame_is_pad: (B, K) bool or None.

        Returns:
            (B, ``width``).
        """
