"""The interface of everything that can drive: a script, a person or a policy."""

from __future__ import annotations

from abc import ABC, abstractmethod

from robolearn.episodes.frames import Array, Observation


class Agent(ABC):
    """Decides what to do next.

    Attributes:
        intervening: the last action was that of a person or an expert who took over from a policy.
    """

    intervening: bool = False

    @abstractmethod
    def reset(self, seed: int) -> None:
        """Forget the last episode.

        Args:
            seed: decides everything that is random in the agent during the episode.
        """

    @abstractmethod
    def act(self, observation: Observation) -> Array:
        """The action for this observation, (A,), in the units of the environment's action."""
