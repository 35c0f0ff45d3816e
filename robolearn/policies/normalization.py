"""Scaling to zero mean and unit deviation, with the figures of the demonstrations."""

from __future__ import annotations

import torch
from torch import nn

_LEAST_DEVIATION = 1e-2
"""In the values' own units: what varies less (1 cm, 0.01 rad) is not blown up to unit size."""


class Normalizer(nn.Module):
    """x → (x − mean) / deviation, element by element.

    Args:
        size: D, elements of a vector.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    def fit(self, values: torch.Tensor) -> None:
        """Take mean and deviation from (N, D) values."""
        self.mean.copy_(values.double().mean(0))
        self.deviation.copy_(values.double().std(0, correction=0).clamp_min(_LEAST_DEVIATION))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(..., D) → (..., D)."""
        return (values - self.mean) / self.deviation

    def inverse(self, normalized: torch.Tensor) -> torch.Tensor:
        """(..., D) → (..., D)."""
        return normalized * self.deviation + self.mean
