"""An environment as Gymnasium's libraries take it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from robolearn.environments.environment import Environment
from robolearn.episodes.frames import Array
from robolearn.errors import ConfigurationError, SimulationError


class AsGymnasium(gymnasium.Env[Array, np.int64]):
    """An environment with vectors to observe and one discrete action.

    Args:
        environment: that is driven; it stays the caller's to close.
        seeds: of its episodes, one after the other.

    Attributes:
        inputs: features that an observation is made of, side by side in this order.

    Raises:
        ConfigurationError: it observes images, or is driven by anything else.
    """

    def __init__(self, environment: Environment, seeds: Iterator[int]) -> None:
        self._environment = environment
        self._seeds = seeds
        context = environment.context
        features, action = context.features, context.action
        seen_otherwise = [name for name, of in features.items() if len(of.shape) != 1]
        if seen_otherwise:
            raise ConfigurationError(
                f"{context.task}: only vectors can be learnt from here, and {seen_otherwise[0]} "
                "is an image"
            )
        if action.shape != (1,) or np.dtype(action.dtype).kind not in "iu":
            raise ConfigurationError(
                f"{context.task}: only one discrete action can be learnt here, and it is driven "
                f"by {action.shape[0]} "
                + ("whole numbers" if np.dtype(action.dtype).kind in "iu" else "continuous values")
            )
        self.inputs = tuple(features)
        self._first = int(action.low[0])
        width = sum(of.shape[0] for of in features.values())
        self.observation_space = spaces.Box(-np.inf, np.inf, (width,), np.float32)
        self.action_space = spaces.Discrete(int(action.high[0]) - self._first + 1)
        self._step = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin the episode of the next of its own seeds, whatever seed is asked for."""
        self._environment.reset(next(self._seeds))
        self._step = 0
        return self._seen(self._environment.observe().values), {}

    def step(self, action: np.int64) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Do a step; the horizon truncates.

        Raises:
            SimulationError: the environment broke down, or gives no reward.
        """
        self._environment.act(np.array([self._first + int(action)]))
        self._step += 1
        observed = self._environment.observe()
        if observed.failed or observed.reward is None:
            why = "broke down" if observed.failed else "gives no reward"
            raise SimulationError(f"{self._environment.context.task} {why}")
        truncated = observed.truncated or self._step >= self._environment.horizon
        return self._seen(observed.values), observed.reward, observed.terminated, truncated, {}

    def _seen(self, values: Mapping[str, Array]) -> Array:
        return np.concatenate([values[name] for name in self.inputs]).astype(np.float32)
