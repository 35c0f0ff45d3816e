"""One chunk and no distribution."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from robolearn.policies.action_heads.base import ActionDistribution, ActionHead
from robolearn.policies.action_heads.config import DeterministicConfig
from robolearn.policies.action_heads.padding import mean_over_steps, sum_of_steps

_LOSSES: dict[str, Callable[..., torch.Tensor]] = {
    "l2": functional.mse_loss,
    "l1": functional.l1_loss,
    "huber": functional.huber_loss,
}


class Point(ActionDistribution):
    """All of it in one chunk.

    Args:
        actions: (B, H, A).
    """

    def __init__(self, actions: torch.Tensor) -> None:
        self._actions = actions

    def sample(
        self, generator: torch.Generator | None = None, *, low_noise: bool = False
    ) -> torch.Tensor:
        return self._actions.detach()

    def mode(self) -> torch.Tensor:
        return self._actions


class DeterministicHead(ActionHead):
    """Regression (Pomerleau 1989, "ALVINN"): L = mean over the elements of f(â − a).

    f(d) is d² (``l2``), |d| (``l1``), or ½ d² up to |d| = 1 and |d| − ½ beyond (``huber``). Where
    the demonstrations go two ways, it goes between them.

    Args:
        width: W, of the feature vector.
        horizon: H.
        size: A.
        config: which f.
    """

    has_density = False

    def __init__(self, width: int, horizon: int, size: int, config: DeterministicConfig) -> None:
        super().__init__(horizon, size)
        self._loss = _LOSSES[config.loss]
        self.actions = nn.Linear(width, horizon * size)

    def distribution(self, features: torch.Tensor) -> Point:
        return Point(self.as_chunks(self.actions(features)))

    def losses(
        self,
        features: torch.Tensor,
        actions: torch.Tensor,
        is_pad: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> dict[str, torch.Tensor]:
        chunk = self.as_chunks(self.actions(features))
        errors = self._loss(chunk, actions, reduction="none").mean(-1)
        return {"action": mean_over_steps(sum_of_steps(errors, is_pad), is_pad)}
