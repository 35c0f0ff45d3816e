"""From observation vectors to one feature vector."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import nn

from robolearn.episodes.features import Feature
from robolearn.policies.normalization import Normalizer


class StateEncoder(nn.Module):
    """An MLP over the vectors of K frames.

    A quaternion q and its negative are the same rotation, and simulators and drivers jump between
    the two; so each is replaced by the first two columns of its rotation matrix, which are
    continuous (Zhou et al. 2019, "On the Continuity of Rotation Representations in Neural
    Networks", section 4.2).

    Args:
        inputs: the vectors by feature name.
        history: K.
        hidden: widths of the layers.
        dropout: share of each layer's outputs that is silenced while training.
    """

    def __init__(
        self, inputs: Mapping[str, Feature], history: int, hidden: tuple[int, ...], dropout: float
    ) -> None:
        super().__init__()
        self._names = tuple(inputs)
        self._quaternions: list[int] = []
        size = 0
        for feature in inputs.values():
            self._quaternions += [size + start for start in feature.quaternions()]
            size += feature.shape[0]
        self.normalizer = Normalizer(size + 2 * len(self._quaternions))
        widths = (history * self.normalizer.mean.numel(), *hidden)
        layers: list[nn.Module] = []
        for width_in, width_out in itertools.pairwise(widths):
            layers += [nn.Linear(width_in, width_out), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers)
        self.width = widths[-1]

    def fit(self, observations: Mapping[str, torch.Tensor]) -> None:
        """Take the normalisation from (N, D) frames by feature name."""
        self.normalizer.fit(self._vector(observations))

    def forward(self, observations: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(B, K, D) by feature name → (B, ``width``)."""
        features: torch.Tensor = self.layers(self.normalizer(self._vector(observations)).flatten(1))
        return features

    def _vector(self, observations: Mapping[str, torch.Tensor]) -> torch.Tensor:
        vector = torch.cat([observations[name].float() for name in self._names], dim=-1)
        if not self._quaternions:
            return vector
        parts, end = [], 0
        for start in self._quaternions:
            parts += [vector[..., end:start], _rotation_6d(vector[..., start : start + 4])]
            end = start + 4
        return torch.cat([*parts, vector[..., end:]], dim=-1)


def _rotation_6d(quaternion: torch.Tensor) -> torch.Tensor:
    """(..., 4) unit quaternion (x, y, z, w) → (..., 6): the rotated x axis, then y axis."""
    x, y, z, w = quaternion.unbind(-1)
    return torch.stack(
        [
            1 - 2 * (y * y + z * z),
            2 * (x * y + z * w),
            2 * (x * z - y * w),
            2 * (x * y - z * w),
            1 - 2 * (x * x + z * z),
            2 * (y * z + x * w),
        ],
        dim=-1,
    )
