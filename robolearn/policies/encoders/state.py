"""The vectors of a frame: rotations made continuous, everything normalised, an MLP."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import nn

from robolearn.episodes.features import STATE, Feature
from robolearn.errors import FeatureMismatch
from robolearn.policies.encoders.config import EncoderConfig
from robolearn.policies.layers import perceptron
from robolearn.policies.normalizer import Normalizer, require_varying

_COLUMNS = ("xx", "xy", "xz", "yx", "yy", "yz")
"""Elements of the first two columns of a rotation matrix: the rotated x axis, then the y axis."""
_PRODUCTS = tuple(itertools.combinations_with_replacement(range(4), 2))
"""Of a quaternion's elements."""


class StateEncoder(nn.Module):
    """The vectors of each frame as one, each frame by itself.

    A quaternion q and its negative are the same rotation, and simulators and drivers jump between
    the two; so each is replaced by the first two columns of its rotation matrix, which are
    continuous (Zhou et al. 2019, "On the Continuity of Rotation Representations in Neural
    Networks", section 4.2). They come behind all other elements.

    Args:
        inputs: the vectors by feature name.
        config: scaling and layers.

    Attributes:
        width: of what comes out.

    Raises:
        FeatureMismatch: a feature is no vector.
    """

    _noise: torch.Tensor
    _picked: torch.Tensor
    _columns: torch.Tensor

    def __init__(self, inputs: Mapping[str, Feature], config: EncoderConfig) -> None:
        super().__init__()
        self._inputs = dict(inputs)
        starts: list[int] = []
        size = 0
        for name, feature in inputs.items():
            if len(feature.shape) != 1:
                raise FeatureMismatch(
                    f"{name} is of shape {feature.shape}, which is no vector, image or depth image"
                )
            starts += [size + start for start in feature.quaternions()]
            size += feature.shape[0]
        inside = {start + i for start in starts for i in range(4)}
        plain = [index for index in range(size) if index not in inside]
        ones = [start + one for start in starts for one, _ in _PRODUCTS]
        others = [start + other for start in starts for _, other in _PRODUCTS]
        columns = torch.block_diag(*[_columns_of_products()] * len(starts))
        self._rotations = len(starts)
        picked = torch.tensor([*plain, *ones, *others], dtype=torch.long)
        self._sizes = [len(plain), len(ones), len(others)]
        self.register_buffer("_picked", picked, persistent=False)
        self.register_buffer("_columns", columns, persistent=False)
        size = len(plain) + 6 * len(starts)
        own = [name.startswith(STATE) for name, _ in self._element_names()]
        noise = config.state_noise * torch.tensor(own, dtype=torch.float32)
        self._noisy = config.state_noise > 0
        self.register_buffer("_noise", noise, persistent=False)
        self.normalizer = Normalizer(size, config.scaling, config.least_scale)
        self.layers = perceptron(size, config.state_hidden)
        self.width = (size, *config.state_hidden)[-1]

    def fit(
        self,
        observations: Mapping[str, torch.Tensor],
        remedy: str = "leave it out of the policy's inputs",
    ) -> None:
        """Take the normalisation from (N, D) frames by feature name.

        Args:
            observations: the frames.
            remedy: what to do about a feature that is constant in all frames, for the message.

        Raises:
            FeatureMismatch: a feature is missing, or constant in all frames.
            DatasetError: there are no frames, or a value is not finite.
        """
        missing = [name for name in self._inputs if name not in observations]
        if missing:
            raise FeatureMismatch(
                f"the demonstrations have no {', '.join(missing)}, which the policy is to see; "
                f"there are {', '.join(observations) or 'no observations'}"
            )
        still = self._constant(observations)
        varying = [name for name, (mask, _) in still.items() if not mask.all()]
        for name, (mask, elements) in still.items():
            others = f" (what varies: {', '.join(varying)})" if varying else ""
            require_varying(name, elements, mask, f"{remedy}{others}")

    def _constant(
        self, observations: Mapping[str, torch.Tensor]
    ) -> dict[str, tuple[torch.Tensor, list[str]]]:
        """Fit, and tell by feature which elements are constant, and all their names."""
        constant = self.normalizer.fit(self._turned(self._vector(observations))).cpu()
        names = self._element_names()
        found = {}
        for name in self._inputs:
            at = [index for index, (feature, _) in enumerate(names) if feature == name]
            found[name] = constant[at], [names[index][1] for index in at]
        return found

    def forward(self, observations: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(B, K, D) by feature name → (B, K, ``width``)."""
        return self.of_vector(self._vector(observations))

    def of_vector(self, vector: torch.Tensor) -> torch.Tensor:
        """`forward` for (B, K, D') float32: all features side by side, in the order of inputs."""
        features: torch.Tensor = self.normalizer(self._turned(vector))
        if self.training and self._noisy:
            varies = self.normalizer.gain > 0
            features = features + self._noise * varies * torch.randn_like(features)
        if len(self.layers):
            features = self.layers(features)
        return features

    def _vector(self, observations: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(..., D) by feature name → (..., D'), all of them side by side."""
        parts = [observations[name].float() for name in self._inputs]
        return torch.cat(parts, dim=-1) if len(parts) > 1 else parts[0]

    def _turned(self, vector: torch.Tensor) -> torch.Tensor:
        """(..., D') → (..., W), quaternions replaced."""
        if not self._rotations:
            return vector
        # All rotations at once: at run time the number of operations counts, not their size.
        plain, ones, others = vector.index_select(-1, self._picked).split(self._sizes, dim=-1)
        return torch.cat([plain, (ones * others) @ self._columns], dim=-1)

    def _element_names(self) -> list[tuple[str, str]]:
        """Feature and element of all that `_turned` gives."""
        plain: list[tuple[str, str]] = []
        rotated: list[tuple[str, str]] = []
        for name, feature in self._inputs.items():
            elements = feature.names or tuple(f"[{i}]" for i in range(feature.shape[0]))
            starts = feature.quaternions()
            inside = {start + i for start in starts for i in range(4)}
            plain += [(name, element) for i, element in enumerate(elements) if i not in inside]
            for start in starts:
                stem = elements[start].rpartition(".")[0] or "q"
                rotated += [(name, f"{stem}.{column}") for column in _COLUMNS]
        return plain + rotated


def constant_vectors(
    vectors: Mapping[str, Feature], observations: Mapping[str, torch.Tensor]
) -> list[str]:
    """Names of the vectors from which nothing is to be learnt: they are the same in all frames.

    Args:
        vectors: by feature name.
        observations: (N, D) all frames by feature name.

    Raises:
        DatasetError: there are no frames, or a value is not finite.
    """
    found = StateEncoder(vectors, EncoderConfig())._constant(observations)
    return [name for name, (mask, _) in found.items() if mask.all()]


def _columns_of_products() -> torch.Tensor:
    """(10, 6): from the products of a unit (x, y, z, w) to two columns of its rotation matrix."""
    x, y, z, w = range(4)
    sums = [
        {(x, x): 1.0, (y, y): -1.0, (z, z): -1.0, (w, w): 1.0},
        {(x, y): 2.0, (z, w): 2.0},
        {(x, z): 2.0, (y, w): -2.0},
        {(x, y): 2.0, (z, w): -2.0},
        {(x, x): -1.0, (y, y): 1.0, (z, z): -1.0, (w, w): 1.0},
        {(y, z): 2.0, (x, w): 2.0},
    ]
    return torch.tensor([[terms.get(product, 0.0) for terms in sums] for product in _PRODUCTS])
