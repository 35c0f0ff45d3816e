"""Between which values the demonstrations' actions lie."""

from __future__ import annotations

import torch
from torch import nn

_UNKNOWN = 5.0
"""In deviations from the mean: what is taken for granted before `ValueRange.fit`."""

_LEAST_WIDTH = 1e-2
"""In deviations: an element that never changes is given a range of this width."""


class ValueRange(nn.Module):
    """Least and greatest value of each element.

    Args:
        size: A.

    Attributes:
        low: (A,).
        high: (A,), greater than ``low``.
    """

    low: torch.Tensor
    high: torch.Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("low", torch.full((size,), -_UNKNOWN))
        self.register_buffer("high", torch.full((size,), _UNKNOWN))

    def fit(self, actions: torch.Tensor) -> None:
        """Take it from (N, A) actions."""
        low, high = actions.amin(0), actions.amax(0)
        missing = (_LEAST_WIDTH - (high - low)).clamp_min(0) / 2
        self.low.copy_(low - missing)
        self.high.copy_(high + missing)
