"""The agent that does once more what was done in an episode."""

from __future__ import annotations

from collections.abc import Callable

from robolearn.agents.agent import Agent
from robolearn.episodes.episode import Episode
from robolearn.episodes.frames import Array, Observation


class Replaying(Agent):
    """Asks for the actions of an episode, one after the other.

    Args:
        finished: called with the last one, so that whoever knows the environment can end it.
    """

    def __init__(self, finished: Callable[[], None]) -> None:
        self._finished = finished
        self._actions: Array | None = None
        self._next = 0

    def follow(self, episode: Episode) -> None:
        """Do what was sent in this episode, from the next `reset` on."""
        self._actions = episode.actions

    def reset(self, seed: int) -> None:
        self._next = 0

    def act(self, observation: Observation) -> Array:
        if self._actions is None:
            raise RuntimeError("there is no episode to follow")
        last = len(self._actions) - 1
        action: Array = self._actions[min(self._next, last)]
        self._next += 1
        if self._next > last:
            self._finished()
        return action
