"""Densities written out: torch.distributions' objects cost more than the arithmetic."""

from __future__ import annotations

import math

import torch

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def normal_log_density(
    values: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """log N(values; mean, scale²), element by element; the three are broadcast."""
    deviation = (values - mean) / scale
    return -0.5 * deviation * deviation - scale.log() - HALF_LOG_2PI


def normal_like(values: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """Draws from N(0, 1) of the shape, type and device of ``values``."""
    return torch.randn(values.shape, generator=generator, dtype=values.dtype, device=values.device)


def draw_category(logits: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """(..., K) → (...) int64 in [0, K), drawn with probabilities softmax(logits)."""
    probabilities = logits.softmax(-1)
    drawn = torch.multinomial(probabilities.flatten(0, -2), 1, generator=generator)
    return drawn.view(logits.shape[:-1])
