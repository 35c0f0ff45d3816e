"""What a dataset is to those who read one or write one, whichever form it has on the disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from robolearn.episodes.episode import Episode
from robolearn.episodes.frames import EpisodeContext
from robolearn.errors import ConfigurationError, DatasetError

type Split = Literal["train", "valid", "all"]
_SPLITS: tuple[Split, ...] = ("train", "valid", "all")

VALID_EVERY = 10
"""Each tenth episode is for validation where nothing else is said; adding some moves none."""


@dataclass(frozen=True)
class EpisodeSummary:
    """What is known of an episode without reading its frames.

    Attributes:
        number: its name: ``demo_12``, ``episode_000012``. Deleting others does not change it.
        frames: T.
        valid: it is for validation, not for training.
        success: the task was accomplished; None where that is not known.
        task: in words.
        agent: who drove.
        operator: the person in charge, empty where not known.
        notes: free text.
        seed: what it was reset with, where there was one.
    """

    number: int
    frames: int
    valid: bool
    success: bool | None
    task: str
    agent: str
    operator: str = ""
    notes: str = ""
    seed: int | None = None

    @classmethod
    def of(cls, episode: Episode, number: int, valid: bool) -> Self:
        """The summary of an episode."""
        return cls(
            number=number,
            frames=len(episode),
            valid=valid,
            success=episode.outcome.success,
            task=episode.context.task,
            agent=episode.agent,
            operator=episode.operator,
            notes=episode.notes,
            seed=episode.context.seed,
        )


class Dataset(ABC):
    """Reads demonstrations.

    Attributes:
        path: of the folder or file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    @abstractmethod
    def summaries(self) -> Sequence[EpisodeSummary]:
        """Of each episode, in their order.

        Raises:
            DatasetError: an episode cannot be read; names the file.
        """

    @property
    @abstractmethod
    def context(self) -> EpisodeContext:
        """Of the first episode: features, action and rate are the same in all.

        Raises:
            DatasetError: it cannot be read.
        """

    @abstractmethod
    def episode(self, index: int) -> Episode:
        """Read one episode.

        Args:
            index: its place, from 0 to ``len(self) - 1``.

        Raises:
            DatasetError: it cannot be read; names the file.
        """

    def __len__(self) -> int:
        return len(self.summaries)

    def episodes(self, indices: Sequence[int]) -> Iterator[Episode]:
        """Read episodes one after the other."""
        return (self.episode(index) for index in indices)

    def indices(self, numbers: Sequence[int]) -> list[int]:
        """Places of the episodes that have these numbers.

        Raises:
            DatasetError: there is no such episode.
        """
        places = {summary.number: index for index, summary in enumerate(self.summaries)}
        if not places:
            raise DatasetError(f"there is no episode in {self.path}")
        for number in numbers:
            if number not in places:
                first, last = min(places), max(places)
                some = "" if len(places) == last - first + 1 else ", some of them deleted"
                raise DatasetError(
                    f"there is no episode {number} in {self.path}; it has {first} to {last}{some}"
                )
        return [places[number] for number in numbers]

    def split(self, split: Split) -> list[int]:
        """Indices of the episodes on that side of the split between training and validation.

        Raises:
            ConfigurationError: there is no such side.
        """
        if split not in _SPLITS:
            raise ConfigurationError(f"split is one of {', '.join(_SPLITS)}, not {split!r}")
        return [
            index
            for index, summary in enumerate(self.summaries)
            if split == "all" or summary.valid == (split == "valid")
        ]


class DatasetWriter(ABC):
    """Adds episodes to a dataset. A context manager: what is written is whole after it.

    Attributes:
        path: of the folder or file.
        left_out: what the form has no place for and the episodes added so far had, in words.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.left_out: set[str] = set()

    @abstractmethod
    def add(self, episode: Episode, *, valid: bool | None = None) -> int:
        """Write an episode. Images are read and written a few at a time.

        Args:
            episode: to write.
            valid: it is for validation; None lets each tenth be.

        Returns:
            Its number.

        Raises:
            FeatureMismatch: its features, action or rate are not those of the dataset.
            OSError: the disk is full or the folder cannot be written.
        """

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Make what was added whole; after an error, too, where the form allows it."""


def is_valid(number: int) -> bool:
    """Whether the episode of this number is for validation where nothing else is said."""
    return number % VALID_EVERY == VALID_EVERY - 1
