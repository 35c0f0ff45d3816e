"""The agent that takes what promises most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robolearn.agents.agent import Agent
from robolearn.episodes.frames import Array, EpisodeContext, Observation


@dataclass(frozen=True)
class QNetwork:
    """Q(s, ·): what each of N actions is worth, by linear layers with max(0, ·) between.

    Attributes:
        inputs: features that it sees, side by side in this order.
        weights: (out, in) of each layer.
        biases: (out,) of each layer.
    """

    inputs: tuple[str, ...]
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

    def __call__(self, seen: Array) -> Array:
        """(D,) → (N,)."""
        *inner, (last, offset) = zip(self.weights, self.biases, strict=True)
        for weight, bias in inner:
            seen = np.maximum(weight @ seen + bias, 0.0)
        worth: Array = last @ seen + offset
        return worth


class GreedyAgent(Agent):
    """Takes the action of the highest Q; nothing of it is random.

    Args:
        network: N outputs.
        context: of the environment that it drives, by one whole number out of N.
    """

    def __init__(self, network: QNetwork, context: EpisodeContext) -> None:
        self._network = network
        self._first = int(context.action.low[0])

    def reset(self, seed: int) -> None: ...

    def act(self, observation: Observation) -> Array:
        seen = np.concatenate([observation.values[name] for name in self._network.inputs])
        return np.array([self._first + self._network(seen).argmax()])
