"""From a feature vector to a distribution over actions."""

from __future__ import annotations

import warnings

import torch
from torch import nn
from torch.distributions import Bernoulli, Categorical, Independent, MixtureSameFamily, Normal
from torch.nn import functional


class MixtureHead(nn.Module):
    """A mixture of Gaussians (Bishop 1994): p(a) = Σ_m w_m N(a; μ_m, diag σ_m²).

    Args:
        width: of the feature vector.
        size: A, elements of the action.
        modes: M.
        least_scale: added to each σ, so that a density cannot grow without bound on one sample.
    """

    def __init__(self, width: int, size: int, modes: int, least_scale: float) -> None:
        super().__init__()
        self._shape = (modes, size)
        self._least_scale = least_scale
        self.weights = nn.Linear(width, modes)
        self.means = nn.Linear(width, modes * size)
        self.scales = nn.Linear(width, modes * size)

    def forward(self, features: torch.Tensor) -> MixtureSameFamily:
        """(B, width) → distribution over (B, A)."""
        means = self.means(features).unflatten(-1, self._shape)
        scales = functional.softplus(self.scales(features)).unflatten(-1, self._shape)
        return MixtureSameFamily(
            Categorical(logits=self.weights(features), validate_args=False),
            Independent(
                Normal(means, scales + self._least_scale, validate_args=False),
                1,
                validate_args=False,
            ),
            validate_args=False,
        )


class GripperHead(nn.Module):
    """Whether each gripper is to be closed.

    Args:
        width: of the feature vector.
        grippers: G.
    """

    def __init__(self, width: int, grippers: int) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Initializing zero-element tensors")
            self.closed = nn.Linear(width, grippers)

    def forward(self, features: torch.Tensor) -> Bernoulli:
        """(B, width) → distribution over (B, G), 1 where closed."""
        return Bernoulli(logits=self.closed(features), validate_args=False)
