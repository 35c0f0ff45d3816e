"""A mixture of Gaussians."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from robolearn.policies.action_heads.base import ActionDistribution, ActionHead
from robolearn.policies.action_heads.config import MixtureConfig
from robolearn.policies.action_heads.densities import (
    draw_category,
    normal_like,
    normal_log_density,
)
from robolearn.policies.action_heads.padding import mean_over_steps, sum_of_steps


class Mixture(ActionDistribution):
    """Σ_m w_m N(μ_m, diag σ_m²) over whole chunks: a mode is a whole way of going on.

    Args:
        logits: (B, M), of the weights.
        mode_actions: (B, M, H, A), the means.
        raw_scales: (B, M, H, A), before softplus; worked out only where they are needed.
        least_scale: least standard deviation.

    Attributes:
        mode_actions: (B, M, H, A) means of the Gaussians.
    """

    def __init__(
        self,
        logits: torch.Tensor,
        mode_actions: torch.Tensor,
        raw_scales: torch.Tensor,
        least_scale: float,
    ) -> None:
        self._logits = logits
        self.mode_actions = mode_actions
        self._raw_scales = raw_scales
        self._least_scale = least_scale

    @property
    def mode_weights(self) -> torch.Tensor:
        """(B, M)."""
        return self._logits.softmax(-1)

    @property
    def mode_scales(self) -> torch.Tensor:
        """(B, M, H, A) standard deviations of the Gaussians."""
        return functional.softplus(self._raw_scales) + self._least_scale

    def sample(
        self, generator: torch.Generator | None = None, *, low_noise: bool = False
    ) -> torch.Tensor:
        chosen = draw_category(self._logits.detach(), generator)
        rows = torch.arange(len(chosen), device=chosen.device)
        mean = self.mode_actions[rows, chosen].detach()
        if low_noise:
            return mean
        scale = functional.softplus(self._raw_scales[rows, chosen].detach()) + self._least_scale
        return mean + scale * normal_like(mean, generator)

    def mode(self) -> torch.Tensor:
        """(B, H, A): the mean of the heaviest Gaussian."""
        heaviest = self._logits.argmax(-1)
        if len(heaviest) == 1:  # as at run time; this takes half as long
            return self.mode_actions[:, int(heaviest)]
        return self.mode_actions[torch.arange(len(heaviest), device=heaviest.device), heaviest]

    def alternatives(
        self, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The means of the Gaussians, and their weights."""
        return self.mode_actions, self.mode_weights

    def log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        return self.log_prob_of_each(actions[:, None]).squeeze(1)

    def log_prob_of_each(self, actions: torch.Tensor) -> torch.Tensor:
        """(B, N, H, A), N chunks for each feature vector → (B, N) log-densities."""
        log_density = normal_log_density(
            actions[:, :, None], self.mode_actions[:, None], self.mode_scales[:, None]
        ).sum((-2, -1))
        return torch.logsumexp(self._logits.log_softmax(-1)[:, None] + log_density, -1)

    def log_prob_without_padding(self, actions: torch.Tensor, is_pad: torch.Tensor) -> torch.Tensor:
        """(B,) log-density of the actions (B, H, A) that are no padding (B, H).

        It is the exact marginal, as the elements of each Gaussian are independent.
        """
        log_density = normal_log_density(actions[:, None], self.mode_actions, self.mode_scales)
        by_mode = sum_of_steps(log_density.sum(-1), is_pad[:, None])
        return torch.logsumexp(self._logits.log_softmax(-1) + by_mode, -1)


class MixtureHead(ActionHead):
    """A mixture density network (Bishop 1994, equations 22 to 24) over the whole chunk.

    p(a) = Σ_m w_m(x) N(a; μ_m(x), diag σ_m(x)²), σ = softplus(s(x)) + least scale, which keeps the
    density of one sample from growing without bound. L = −log p(a).

    Args:
        width: W, of the feature vector.
        horizon: H.
        size: A.
        config: modes M and least scale.
    """

    has_density = True

    def __init__(self, width: int, horizon: int, size: int, config: MixtureConfig) -> None:
        super().__init__(horizon, size)
        self._config = config
        # Weights, means and scales in one product: the call costs more than the arithmetic.
        self.parameters_of_mixture = nn.Linear(width, config.modes * (1 + 2 * horizon * size))

    def distribution(self, features: torch.Tensor) -> Mixture:
        modes = self._config.modes
        raw = self.parameters_of_mixture(features).float()
        means, scales = raw[:, modes:].view(-1, 2, modes, self.horizon, self.size).unbind(1)
        return Mixture(raw[:, :modes], means, scales, self._config.least_scale)

    def losses(
        self,
        features: torch.Tensor,
        actions: torch.Tensor,
        is_pad: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> dict[str, torch.Tensor]:
        log_prob = self.distribution(features).log_prob_without_padding(actions, is_pad)
        return {"action": -mean_over_steps(log_prob, is_pad)}
