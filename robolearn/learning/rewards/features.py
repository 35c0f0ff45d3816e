"""What a reward is learnt from: chosen elements of what is seen, and the action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from robolearn.episodes.features import Feature
from robolearn.errors import ConfigurationError, DatasetError
from robolearn.policies.normalizer import Normalizer


class SeenFeatures(nn.Module):
    """Chosen elements of an observation, normalised.

    Args:
        chosen: names of elements, or what several begin with (``cube_pos`` or ``cube_pos.z``), or
            of whole features.
        features: vectors of an observation, by name.

    Attributes:
        names: of the features that they are in.
        width: D.

    Raises:
        ConfigurationError: an element is in no feature.
    """

    def __init__(self, chosen: Sequence[str], features: Mapping[str, Feature]) -> None:
        super().__init__()
        self._places: list[tuple[str, torch.Tensor]] = []
        for stem in chosen:
            found = [place for name, of in features.items() if (place := _place(stem, name, of))]
            if not found:
                there = ", ".join(one for of in features.values() for one in of.names or ())
                raise ConfigurationError(
                    f"no element of an observation is called {stem!r}; there are {there}"
                )
            self._places += found
        self.names = tuple(dict.fromkeys(name for name, _ in self._places))
        self.width = sum(len(indices) for _, indices in self._places)
        self.normalizer = Normalizer(self.width, least_scale=1e-3)

    def fit(self, observations: Mapping[str, torch.Tensor]) -> None:
        """Take the normalisation from (N, ...) frames by feature name."""
        self.normalizer.fit(self._picked(observations))

    def forward(self, observations: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(B, ...) by feature name → (B, D)."""
        normalized: torch.Tensor = self.normalizer(self._picked(observations))
        return normalized

    def _picked(self, observations: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return torch.cat([observations[name][:, at].float() for name, at in self._places], -1)


def _place(stem: str, name: str, feature: Feature) -> tuple[str, torch.Tensor] | None:
    if stem == name:
        return name, torch.arange(feature.shape[0])
    try:
        return name, torch.tensor(feature.indices(stem))
    except DatasetError:
        return None
