"""The best policy so far, as validation sees it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import torch
from torch import nn


class Best:
    """Keeps the weights of the best trial, and says when a policy has fallen behind it.

    Of equal trials the newest is kept. A policy has fallen back when its mean score is lower by
    more than three standard errors of the difference: by two alone it often would seem to, because
    the best of many trials was lucky, too.

    Attributes:
        weights: of the best policy.
        score: mean of its trial.
        fallen: times that `see` was true.
        is_better: than the first that was tried.
    """

    def __init__(self) -> None:
        self.weights: dict[str, torch.Tensor] = {}
        self.score = -float("inf")
        self.fallen = 0
        self.is_better = False
        self._variance = 0.0

    def see(self, policy: nn.Module, scores: Sequence[float]) -> bool:
        """Take note of a trial.

        Args:
            policy: that was tried.
            scores: of its episodes, two or more: 1 for success, or returns.

        Returns:
            Whether it has fallen back.
        """
        score = statistics.fmean(scores)
        variance = statistics.variance(scores) / len(scores)
        if score >= self.score:
            self.is_better = bool(self.weights) and (self.is_better or score > self.score)
            self.score, self._variance = score, variance
            self.weights = {name: value.clone() for name, value in policy.state_dict().items()}
            return False
        fallen: bool = self.score - score > 3 * (variance + self._variance) ** 0.5
        self.fallen += fallen
        return fallen

    def state_dict(self) -> dict[str, torch.Tensor]:
        """As tensors by name."""
        return {
            **{f"weights.{name}": value for name, value in self.weights.items()},
            "score": torch.tensor([self.score, self._variance], dtype=torch.float64),
            "fallen": torch.tensor([self.fallen, self.is_better]),
        }

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a `state_dict`."""
        self.weights = {
            name.removeprefix("weights."): value
            for name, value in state.items()
            if name.startswith("weights.")
        }
        self.score, self._variance = state["score"].tolist()
        self.fallen, is_better = state["fallen"].tolist()
        self.is_better = bool(is_better)
