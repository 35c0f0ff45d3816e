"""What a reward is learnt from: chosen elements of what is seen, and the action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from robolearn.episodes.features import Feature
from robolearn.errors import ConfigurationError, DatasetError
from robolearn.policies.normalizer import Normalizer

_LEAST = 1e-3
"""In an element's own units: a millimetre, for example. What is nearer is not told apart."""


_FINEST = 20
"""Times finer than by the standard deviation, at most: where demonstrations stay, the quartile is
next to nothing."""


class SeenFeatures(nn.Module):
    """Chosen elements of an observation, resolved finely where most frames are.

    x → asinh((x − median) / q), with q the lower quartile of |x − median|, then normalised. A
    discriminator whose gradient is held near 1 (`gradient_penalty`) hardly changes within a unit of
    its inputs. By the standard deviation of the way to a cube that unit is several centimetres, and
    a grasp that misses by three is worth as much as one that does not.

    Args:
        chosen: names of elements, or what several begin with (``cube_pos`` or ``cube_pos.z``), or
            of whole features.
        features: vectors of an observation, by name.

    Attributes:
        names: of the features that they are in.
        width: D.

    Raises:
        ConfigurationError: an element is in no feature, or there is nothing to see.
    """

    _median: torch.Tensor
    _quartile: torch.Tensor

    def __init__(self, chosen: Sequence[str], features: Mapping[str, Feature]) -> None:
        super().__init__()
        self._places: list[tuple[str, torch.Tensor]] = []
        for stem in chosen:
            found = [place for name, of in features.items() if (place := _place(stem, name, of))]
            if not found:
                there = ", ".join(
                    one for name, of in features.items() for one in of.names or (name,)
                )
                raise ConfigurationError(
                    f"no element of an observation is called {stem!r}; there are {there}"
                )
            self._places += found
        if not self._places:
            raise ConfigurationError(
                "the environment observes no vectors, and a reward is learnt from those"
            )
        self.names = tuple(dict.fromkeys(name for name, _ in self._places))
        self.width = sum(len(indices) for _, indices in self._places)
        self.register_buffer("_median", torch.zeros(self.width))
        self.register_buffer("_quartile", torch.ones(self.width))
        # A unit of these is a quartile, or what is not told apart: less is not blown up to one.
        self.normalizer = Normalizer(self.width, least_scale=1.0)

    def fit(self, observations: Mapping[str, torch.Tensor]) -> None:
        """Take median, quartile and normalisation from (N, ...) frames by feature name.

        Raises:
            DatasetError: there are none, or a value is not finite.
        """
        picked = self._picked(observations)
        if len(picked):
            median = picked.median(0).values
            away = (picked - median).abs()
            self._median.copy_(median)
            quartile = away.kthvalue((len(away) + 3) // 4, dim=0).values
            least = picked.std(0, correction=0) / _FINEST
            self._quartile.copy_(torch.maximum(quartile, least).clamp_min(_LEAST))
        self.normalizer.fit(self._resolved(picked))

    def forward(self, observations: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(B, ...) by feature name → (B, D)."""
        normalized: torch.Tensor = self.normalizer(self._resolved(self._picked(observations)))
        return normalized

    def _resolved(self, picked: torch.Tensor) -> torch.Tensor:
        return ((picked - self._median) / self._quartile).asinh()

    def _picked(self, observations: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return torch.cat([observations[name][:, at].float() for name, at in self._places], -1)


def _place(stem: str, name: str, feature: Feature) -> tuple[str, torch.Tensor] | None:
    if stem == name:
        return name, torch.arange(feature.shape[0])
    try:
        return name, torch.tensor(feature.indices(stem))
    except DatasetError:
        return None
