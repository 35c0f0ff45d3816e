"""The interface of everything that can be driven: a simulated task or a real arm."""

from __future__ import annotations

from abc import ABC, abstractmethod

from robolearn.episodes.frames import Array, EpisodeContext, Observation


class Environment(ABC):
    """Something with sensors and motors."""

    @property
    @abstractmethod
    def context(self) -> EpisodeContext:
        """What holds for the episode that the last `reset` began."""

    @property
    @abstractmethod
    def horizon(self) -> int:
        """Control steps of an episode."""

    @abstractmethod
    def reset(self, seed: int) -> None:
        """Begin an episode.

        Args:
            seed: decides everything that is random in the episode.
        """

    @abstractmethod
    def observe(self) -> Observation:
        """What the sensors say now."""

    @abstractmethod
    def act(self, action: Array) -> Array:
        """Drive the motors for one control step.

        Args:
            action: (A,) as ``context.action`` describes it.

        Returns:
            (A,) the action really sent, after limits.

        Raises:
            ValueError: the action has another shape, or is not finite.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop the motors or free the simulator. May be called twice."""
