"""What every reward that is learnt from demonstrations answers to."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from robolearn.learning.finetuning.trajectories import Trajectories, Transitions


class DemonstrationReward(nn.Module, ABC):
    """A reward that is high where the demonstrations are."""

    @abstractmethod
    def update(
        self, demonstrations: Trajectories, rollouts: Trajectories, generator: torch.Generator
    ) -> dict[str, float]:
        """Learn from what the policy did since.

        Args:
            demonstrations: of the expert.
            rollouts: of the policy, the newest last.
            generator: of what is drawn.

        Returns:
            Figures to look at, by name.
        """

    @abstractmethod
    def reward(self, transitions: Transitions) -> torch.Tensor:
        """(B,) of r(s, a, s'), without gradient."""

    @property
    @abstractmethod
    def of_absorbing(self) -> float:
        """Of a step in the absorbing state."""

    def accuracy(self, demonstrations: Transitions) -> float | None:
        """Share of these that are taken for demonstrations; None where it does not tell."""
        return None
