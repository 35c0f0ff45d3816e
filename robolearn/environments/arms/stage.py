"""What lies before an arm, where something can put it in place and see how it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from robolearn.episodes.features import Feature
from robolearn.episodes.frames import Array


@dataclass(frozen=True)
class Seen:
    """How a stage is now.

    Attributes:
        values: by the names of its features.
        time: when that was, s of the monotonic clock.
        success: whether the task is accomplished.
    """

    values: Mapping[str, Array]
    time: float
    success: bool


class Stage(ABC):
    """An arm's surroundings, which an episode's seed decides.

    Without one, an environment is a bare arm: a person puts things in place, and says whether it
    succeeded.
    """

    @property
    @abstractmethod
    def features(self) -> Mapping[str, Feature]:
        """What it adds to each observation."""

    @abstractmethod
    def clear(self) -> None:
        """Before the arm goes to its first pose."""

    @abstractmethod
    def set_up(self, seed: int) -> None:
        """When the arm is there: the episode begins now.

        Args:
            seed: decides how.
        """

    @abstractmethod
    def look(self) -> Seen:
        """How it is now."""
