"""One Gaussian."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from robolearn.policies.action_heads.base import ActionDistribution, ActionHead
from robolearn.policies.action_heads.config import GaussianConfig
from robolearn.policies.action_heads.densities import (
    HALF_LOG_2PI,
    normal_like,
    normal_log_density,
)
from robolearn.policies.action_heads.padding import mean_over_steps, sum_of_steps


class Gaussian(ActionDistribution):
    """N(mean, diag scale²).

    Args:
        mean: (B, H, A).
        scale: (B, H, A) standard deviations.
    """

    def __init__(self, mean: torch.Tensor, scale: torch.Tensor) -> None:
        self._mean = mean
        self._scale = scale

    def sample(
        self, generator: torch.Generator | None = None, *, low_noise: bool = False
    ) -> torch.Tensor:
        mean = self._mean.detach()
        return mean if low_noise else mean + self._scale.detach() * normal_like(mean, generator)

    def mode(self) -> torch.Tensor:
        return self._mean

    def alternatives(
        self, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean."""
        return self._mean[:, None], self._mean.new_ones(len(self._mean), 1)

    def log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        return self.log_prob_of_steps(actions).sum(-1)

    def log_prob_of_steps(self, actions: torch.Tensor) -> torch.Tensor:
        """(B, H, A) → (B, H): the elements are independent."""
        return normal_log_density(actions, self._mean, self._scale).sum(-1)

    def entropy(self) -> torch.Tensor:
        """(B,) in nats, exact."""
        return (self._scale.log() + (0.5 + HALF_LOG_2PI)).sum((-2, -1))


class GaussianHead(ActionHead):
    """A diagonal Gaussian whose mean and deviation both depend on what is seen.

    p(a) = N(a; μ(x), diag σ(x)²) with σ = softplus(s(x)) + least scale (Nix & Weigend 1994,
    "Estimating the mean and variance of the target probability distribution").
    L = −log p(a).

    Args:
        width: W, of the feature vector.
        horizon: H.
        size: A.
        config: least scale.
    """

    has_density = True

    def __init__(self, width: int, horizon: int, size: int, config: GaussianConfig) -> None:
        super().__init__(horizon, size)
        self._least_scale = config.least_scale
        self.parameters_of_gaussian = nn.Linear(width, 2 * horizon * size)

    def distribution(self, features: torch.Tensor) -> Gaussian:
        raw = self.parameters_of_gaussian(features).float()
        mean, scale = raw.view(-1, 2, self.horizon, self.size).unbind(1)
        return Gaussian(mean, functional.softplus(scale) + self._least_scale)

    def losses(
        self,
        features: torch.Tensor,
        actions: torch.Tensor,
        is_pad: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> dict[str, torch.Tensor]:
        log_prob = self.distribution(features).log_prob_of_steps(actions)
        return {"action": -mean_over_steps(sum_of_steps(log_prob, is_pad), is_pad)}
