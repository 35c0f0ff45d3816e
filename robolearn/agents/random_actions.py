"""The agent that knows nothing."""

from __future__ import annotations

import numpy as np

from robolearn.agents.agent import Agent
from robolearn.episodes.frames import Array, EpisodeContext, Observation


class RandomAgent(Agent):
    """Takes any action that the environment accepts, each as likely as the others.

    Args:
        context: of the environment that it drives.
    """

    def __init__(self, context: EpisodeContext) -> None:
        self._action = context.action
        self.reset(seed=0)

    def reset(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def act(self, observation: Observation) -> Array:
        feature = self._action
        drawn: Array = (
            self._random.integers(
                np.asarray(feature.low, np.int64), np.asarray(feature.high, np.int64), endpoint=True
            )
            if np.dtype(feature.dtype).kind in "iu"
            else self._random.uniform(feature.low, feature.high)
        )
        return drawn.astype(feature.dtype)
