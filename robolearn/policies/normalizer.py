"""Scaling of values with the figures of the demonstrations."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import nn

from robolearn.errors import ConfigurationError, DatasetError, FeatureMismatch
from robolearn.policies.scaling import Scaling

_CONSTANT = 1e-6
"""What varies by less, beside 1 or its own size, is constant: that is the rounding of float32."""

_log = logging.getLogger(__name__)


class Normalizer(nn.Module):
    """x → (x − center) / scale, element by element, and 0 for an element that never varied.

    With ``standard``, center and scale are mean and standard deviation; with ``range``, the middle
    and the half of the range, so that the demonstrations lie in [−1, 1]; with ``none``, 0 and 1.
    An element that was constant is 0 whatever comes, and `inverse` gives the constant back: what
    was never seen to vary must not shift a network that has not seen it.

    Args:
        size: D, elements of a vector.
        scaling: which.
        least_scale: in the values' own units; what varies less is not blown up to unit size.

    Attributes:
        center: (D,).
        scale: (D,) 0 for constant elements.
        gain: (D,) 1 / scale, or 0.
    """

    center: torch.Tensor
    scale: torch.Tensor
    gain: torch.Tensor

    def __init__(self, size: int, scaling: Scaling = "standard", least_scale: float = 0.0) -> None:
        super().__init__()
        if scaling not in ("standard", "range", "none"):
            raise ConfigurationError(f"scaling is standard, range or none, not {scaling}")
        self._scaling = scaling
        self._least_scale = least_scale
        self.register_buffer("center", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.register_buffer("gain", torch.ones(size))

    @torch.no_grad()
    def fit(self, values: torch.Tensor) -> torch.Tensor:
        """Take center and scale from (N, D) values.

        Returns:
            (D,) bool, the element is constant; `require_varying` says so to a user.

        Raises:
            DatasetError: there are no values, or one is not finite.
        """
        values = values.double()
        if not len(values):
            raise DatasetError("there are no frames to take the normalisation from")
        low, high = values.aminmax(dim=0)
        if not (low.isfinite() & high.isfinite()).all():
            raise DatasetError("a value to take the normalisation from is not finite")
        size = torch.maximum(low.abs(), high.abs())
        constant = high - low <= _CONSTANT * size.clamp_min(1.0)
        if self._scaling == "none":
            return constant
        if self._scaling == "standard":
            center, scale = values.mean(0), values.std(0, correction=0)
        else:
            center, scale = (low + high) / 2, (high - low) / 2
        self.set(center, scale.clamp_min(self._least_scale).masked_fill(constant, 0.0))
        return constant

    @torch.no_grad()
    def set(self, center: torch.Tensor, scale: torch.Tensor) -> None:
        """Take these, (D,) each; a scale of 0 marks a constant element."""
        self.center.copy_(center)
        self.scale.copy_(scale)
        self.gain.copy_(scale.reciprocal().masked_fill(scale == 0, 0.0))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(..., D) → (..., D)."""
        return (values - self.center) * self.gain

    def inverse(self, normalized: torch.Tensor) -> torch.Tensor:
        """(..., D) → (..., D)."""
        return torch.addcmul(self.center, normalized, self.scale)


def require_varying(
    name: str, elements: Sequence[str], constant: torch.Tensor, remedy: str
) -> None:
    """Say which elements of a feature are constant over all demonstrations.

    Args:
        name: of the feature.
        elements: D names of its elements.
        constant: (D,) bool, from `Normalizer.fit`.
        remedy: what to do where all of it is constant, for the message.

    Raises:
        FeatureMismatch: all of it is constant.
    """
    if constant.all():
        raise FeatureMismatch(
            f"{name} is constant in all demonstrations, so that nothing is to be learnt from it; "
            f"{remedy}"
        )
    if constant.any():
        named = [
            element for element, still in zip(elements, constant.tolist(), strict=True) if still
        ]
        _log.warning("%s: constant in all demonstrations, so ignored: %s", name, ", ".join(named))
