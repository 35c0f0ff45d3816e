"""Layers that several networks are built of."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import nn


def perceptron(width: int, hidden: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """A multi-layer perceptron with ReLU after each layer.

    Args:
        width: of its input.
        hidden: widths of its layers; none gives the input back.
        dropout: share of each layer's outputs that is silenced while training.
    """
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise((width, *hidden)):
        layers += [nn.Linear(before, after), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)
