"""Copying episodes from one dataset to another, whichever forms they have."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import numpy as np

from robolearn.episodes.dataset import Dataset, DatasetWriter
from robolearn.episodes.episode import Episode
from robolearn.episodes.formats import open_dataset
from robolearn.errors import ConfigurationError, DatasetError, FolderInUse, RobolearnError


def require_apart(source: Path, target: Path) -> None:
    """Raise unless neither dataset lies in the other.

    Raises:
        ConfigurationError: they are the same, or one lies in the other.
    """
    here, there = source.resolve(), target.resolve()
    if here == there:
        raise ConfigurationError(f"{target} is the dataset itself: name another place to write to")
    if here.is_relative_to(there) or there.is_relative_to(here):
        raise ConfigurationError(
            f"one of {source} and {target} lies in the other: name a place beside them"
        )


def begun(target: Path) -> Dataset | None:
    """The dataset that is there; None where there is none yet, or one without an episode."""
    try:
        return open_dataset(target)
    except DatasetError:
        return None


def converted_before(source: Dataset, indices: Sequence[int], target: Path) -> int:
    """How many of the episodes are there already, of a conversion that was stopped.

    They are told by their actions, bit for bit.

    Args:
        source: that is converted.
        indices: of its episodes, in their order.
        target: where they go; a writer has it open, so that nobody else adds to it.

    Raises:
        FolderInUse: it has other episodes.
        DatasetError: one cannot be read.
    """
    found = begun(target)
    if found is None:
        return 0
    same = len(found) <= len(indices) and all(
        np.array_equal(episode.actions, source.episode(index).actions)
        for episode, index in zip(found.episodes(range(len(found))), indices, strict=False)
    )
    if not same:
        raise FolderInUse(
            f"{target} has episodes that are not those of {source.path}; name another"
        )
    return len(found)


def copy_episodes(
    source: Dataset,
    indices: Sequence[int],
    writer: DatasetWriter,
    change: Callable[[Episode], Episode],
) -> Generator[Episode]:
    """Write episodes one after the other, on the same side of the split as they were.

    Args:
        source: to read.
        indices: of its episodes, in their order.
        writer: of the other dataset.
        change: what becomes of each.

    Yields:
        Each episode, once it is written.

    Raises:
        FeatureMismatch: an episode's features are not those of the first one.
        DatasetError: an episode has no frames, so that its copy would be refused; names it, before
            anything is written.
        RobolearnError: an episode cannot be read, or changed; names it.
        OSError: the disk is full.
    """
    summaries = source.summaries
    for index in indices:
        if not summaries[index].frames:
            raise DatasetError(
                f"{source.path}, episode {summaries[index].number}: it has no frames and cannot be "
                "copied; take it out of the dataset first"
            )
    for index in indices:
        summary = summaries[index]
        episode = source.episode(index)
        try:
            episode = change(episode)
        except RobolearnError as error:
            raise type(error)(f"{source.path}, episode {summary.number}: {error}") from error
        writer.add(episode, valid=summary.valid)
        yield episode
