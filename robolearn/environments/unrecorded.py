"""Cameras that a person looks through, and that are no part of an episode."""

from __future__ import annotations

from dataclasses import replace

from robolearn.environments.environment import Environment
from robolearn.episodes.frames import Array, EpisodeContext, Observation


class UnrecordedImages(Environment):
    """An environment whose images are observed, and no feature: who records passes them over.

    Args:
        environment: with cameras.
    """

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    @property
    def context(self) -> EpisodeContext:
        context = self._environment.context
        features = {name: each for name, each in context.features.items() if not each.is_image}
        return replace(context, features=features)

    @property
    def horizon(self) -> int:
        return self._environment.horizon

    def reset(self, seed: int) -> None:
        self._environment.reset(seed)

    def observe(self) -> Observation:
        return self._environment.observe()

    def act(self, action: Array) -> Array:
        return self._environment.act(action)

    def close(self) -> None:
        self._environment.close()
