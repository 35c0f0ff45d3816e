"""``robolearn edit``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import tyro
from pydantic import Field

from robolearn.cli.command import Command

if TYPE_CHECKING:
    from robolearn.episodes.formats.folder import FolderWriter

type Number = Annotated[int, Field(ge=0)]
type Positional[Value] = Annotated[tyro.conf.Positional[Value], tyro.conf.arg(metavar="EPISODE")]


class Change(Protocol):
    """One way to change a dataset."""

    def apply(self, writer: FolderWriter) -> str:
        """Do it, and say what was done."""


@dataclass(frozen=True)
class Delete:
    """Delete episodes. The numbers of the others stay.

    Attributes:
        episodes: numbers of the episodes.
    """

    episodes: Positional[tuple[int, ...]]

    def apply(self, writer: FolderWriter) -> str:
        _require_some(self.episodes)
        writer.delete(self.episodes)
        return f"deleted {_names(self.episodes)}"


@dataclass(frozen=True)
class Trim:
    """Keep a part of an episode.

    Attributes:
        episode: its number.
        first: the first frame that is kept.
        stop: the first frame after it that is not; None keeps all to the end.
    """

    episode: Positional[int]
    first: Number = 0
    stop: Number | None = None

    def apply(self, writer: FolderWriter) -> str:
        from robolearn.episodes.curation.edit import trim

        frames = trim(writer, self.episode, self.first, self.stop)
        return f"episode {self.episode} has {frames} frames now"


@dataclass(frozen=True)
class Split:
    """Make two episodes of one.

    Attributes:
        episode: its number, which the first part keeps.
        at: the frame with which the second part begins.
    """

    episode: Positional[int]
    at: Number

    def apply(self, writer: FolderWriter) -> str:
        from robolearn.episodes.curation.edit import split

        other = split(writer, self.episode, self.at)
        return f"what followed frame {self.at} of episode {self.episode} is episode {other} now"


@dataclass(frozen=True)
class Join:
    """Make one episode of the parts of one, in their order.

    Attributes:
        episodes: their numbers; the first one's is kept, and its labels. It succeeded where one of
            them did.
    """

    episodes: Positional[tuple[int, ...]]

    def apply(self, writer: FolderWriter) -> str:
        from robolearn.episodes.curation.edit import join

        join(writer, self.episodes)
        return f"{_names(self.episodes)} are episode {self.episodes[0]} now"


@dataclass(frozen=True)
class Merge:
    """Add the episodes of other datasets, of any format.

    Attributes:
        datasets: to take them from; they stay as they are.
    """

    datasets: Annotated[
        tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="OTHER [OTHER ...]")
    ]

    def apply(self, writer: FolderWriter) -> str:
        from robolearn.episodes.curation.edit import merge
        from robolearn.episodes.formats import open_dataset
        from robolearn.errors import ConfigurationError

        if not self.datasets:
            raise ConfigurationError("merge: name the datasets to take episodes from")
        sources = [open_dataset(path) for path in self.datasets]
        added = [number for source in sources for number in merge(writer, source)]
        return f"added {_names(added)}"


@dataclass(frozen=True)
class Label:
    """Say something of episodes. What was recorded is not touched.

    Attributes:
        episodes: their numbers; none means all.
        success: whether the task was accomplished.
        task: the task in words.
        operator: who was in charge.
        notes: anything else.
    """

    episodes: Positional[tuple[int, ...]] = ()
    success: bool | None = None
    task: str | None = None
    operator: str | None = None
    notes: str | None = None

    def apply(self, writer: FolderWriter) -> str:
        from robolearn.episodes.curation.edit import label
        from robolearn.episodes.labels import Labels
        from robolearn.errors import ConfigurationError

        labels = Labels(self.success, self.task, self.operator, self.notes)
        if not labels.given:
            raise ConfigurationError("label: give --success, --task, --operator or --notes")
        numbers = self.episodes or tuple(writer.summaries_by_number)
        label(writer, numbers, labels)
        return f"labelled {_names(numbers)}"


@dataclass(frozen=True)
class Resplit:
    """Say anew which episodes are for validation; all others are for training.

    Attributes:
        episodes: numbers of those for validation.
        share: draw this share of all episodes instead.
        seed: of the draw.
    """

    episodes: Positional[tuple[int, ...]] = ()
    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    seed: Number = 0

    def apply(self, writer: FolderWriter) -> str:
        from robolearn.episodes.curation.edit import drawn, resplit
        from robolearn.errors import ConfigurationError

        if bool(self.episodes) == (self.share is not None):
            raise ConfigurationError(
                "resplit: either name the episodes for validation, or give --share, not both"
            )
        chosen = self.episodes
        if self.share is not None:
            chosen = tuple(drawn(writer.summaries_by_number, self.share, self.seed))
        resplit(writer, chosen)
        return f"for validation: {_names(chosen)}"


@dataclass(frozen=True)
class Recover:
    """Keep what a recording that ended unexpectedly had of the episode in flight.

    Attributes:
        discard: throw it away instead.
    """

    discard: bool = False

    def apply(self, writer: FolderWriter) -> str:
        from robolearn.errors import DatasetError

        found, unreadable = writer.in_flight(), writer.unreadable_journals()
        if self.discard:
            for journal in (*found, *unreadable):
                journal.unlink()
            return f"{len(found) + len(unreadable)} in flight thrown away"
        numbers = [writer.recover(journal) for journal in found]
        if unreadable:
            kept = f"recovered {_names(numbers)}; " if numbers else ""
            raise DatasetError(
                f"{kept}{'; '.join(map(str, unreadable.values()))} (recover --discard removes it)"
            )
        return f"recovered {_names(numbers)}" if numbers else "no episode was in flight"


@dataclass(frozen=True)
class Accept:
    """Take files that were changed since they were recorded as they are now.

    Attributes:
        episodes: numbers of the episodes.
    """

    episodes: Positional[tuple[int, ...]]

    def apply(self, writer: FolderWriter) -> str:
        _require_some(self.episodes)
        for number in self.episodes:
            writer.accept(number)
        return f"accepted {_names(self.episodes)}"


@dataclass(frozen=True, kw_only=True)
class Edit(Command):
    """Change the episodes of a dataset folder.

    Recorded data is written anew only by trim, split and join, and only that of the episodes named.
    A kill in the middle loses no frames.

    Example: robolearn edit demos trim 7 --first 10 --stop 95

    Attributes:
        dataset: a dataset folder. Other formats can be converted first.
        change: what to do.
    """

    dataset: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATASET")]
    change: Annotated[
        Delete | Trim | Split | Join | Merge | Label | Resplit | Recover | Accept,
        tyro.conf.OmitSubcommandPrefixes,
        tyro.conf.OmitArgPrefixes,
    ]

    def run(self) -> int:
        from robolearn.episodes.formats.folder import EPISODES, FolderWriter
        from robolearn.errors import DatasetError

        if not (self.dataset / EPISODES).is_dir():
            raise DatasetError(
                f"{self.dataset} is no dataset folder, which alone can be edited; make one of "
                f"another format by: robolearn convert {self.dataset} FOLDER"
            )
        with FolderWriter(self.dataset) as writer:
            done = self.change.apply(writer)
            episodes = len(writer)
        self.console.say(f"{self.dataset}: {done}; it has {episodes} episodes")
        self.console.result({"dataset": self.dataset, "done": done, "episodes": episodes})
        return 0


def _require_some(episodes: tuple[int, ...]) -> None:
    from robolearn.errors import ConfigurationError

    if not episodes:
        raise ConfigurationError("name the episodes by their numbers")


def _names(numbers: Iterable[int]) -> str:
    listed = list(numbers)
    word = "episode" if len(listed) == 1 else "episodes"
    if len(listed) > 12:
        return f"{len(listed)} {word}"
    return f"{word} {', '.join(map(str, listed))}"
