"""Changes to a dataset folder. What was recorded is written anew only where frames are cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from robolearn.episodes.dataset import Dataset, EpisodeSummary
from robolearn.episodes.episode import joined
from robolearn.episodes.formats.folder import FolderDataset, FolderWriter, episode_path
from robolearn.episodes.labels import Labels
from robolearn.errors import DatasetError


def trim(writer: FolderWriter, number: int, first: int = 0, stop: int | None = None) -> int:
    """Keep frames ``first`` to ``stop - 1`` of an episode.

    Returns:
        How many those are.

    Raises:
        DatasetError: there is no such episode, or it has no such frames.
    """
    episode = writer.episode(number)
    kept = episode.part(first, len(episode) if stop is None else stop)
    writer.substitute(number, kept)
    return len(kept)


def split(writer: FolderWriter, number: int, frame: int) -> int:
    """Make an episode end before a frame, and another one of the rest, in the same split.

    Returns:
        The number of the other one.

    Raises:
        DatasetError: there is no such episode, or nothing would be left on one side.
    """
    episode = writer.episode(number)
    frames = len(episode)
    if not 0 < frame < frames:
        raise DatasetError(
            f"episode {number} has {frames} frames: it can be split at 1 to {frames - 1}"
        )
    before, after = episode.part(0, frame), episode.part(frame, len(episode))
    # First the new one: stopped in between, frames are there twice rather than not at all.
    other = writer.add(after, valid=writer.summaries_by_number[number].valid)
    writer.substitute(number, before)
    return other


def join(writer: FolderWriter, numbers: Sequence[int]) -> None:
    """Put episodes one after the other into the first one's place; the others are deleted.

    Raises:
        DatasetError: there are not two different episodes, or one cannot be read.
    """
    if len(set(numbers)) != len(numbers) or len(numbers) < 2:
        raise DatasetError("to join takes two or more different episodes")
    first, *others = numbers
    writer.substitute(first, joined([writer.episode(number) for number in numbers]))
    writer.delete(others)


def merge(writer: FolderWriter, source: Dataset) -> list[int]:
    """Add all episodes of another dataset, with their labels and split.

    The files of another folder are not copied where both are on one file system.

    Returns:
        Their numbers.

    Raises:
        DatasetError: the source is the dataset itself, or an episode cannot be read.
        FeatureMismatch: the features, actions or rates differ.
    """
    if source.path.resolve() == writer.path.resolve():
        raise DatasetError(f"{source.path} cannot be merged into itself")
    if isinstance(source, FolderDataset):
        source.look_through()
    added = []
    for index, summary in enumerate(source.summaries):
        if isinstance(source, FolderDataset):
            source.require_intact(index)
            file = episode_path(source.path, summary.number)
            added.append(writer.add_file(file, summary))
        else:
            added.append(writer.add(source.episode(index), valid=summary.valid))
    return added


def label(writer: FolderWriter, numbers: Iterable[int], labels: Labels) -> None:
    """Give labels to episodes.

    Raises:
        DatasetError: there is no episode of a number; none is changed.
    """
    changes = {}
    for number in numbers:
        changes[number] = replace(_known(writer, number), **labels.given)
    writer.relabel(changes)


def resplit(writer: FolderWriter, valid: Iterable[int]) -> None:
    """Have these episodes for validation, and all others for training.

    Raises:
        DatasetError: there is no episode of a number; none is changed.
    """
    chosen = {_known(writer, number).number for number in valid}
    writer.relabel(
        {
            number: replace(summary, valid=number in chosen)
            for number, summary in writer.summaries_by_number.items()
        }
    )


def drawn(numbers: Iterable[int], share: float, seed: int) -> list[int]:
    """A share of the episodes, drawn at random, ascending; at least one.

    Args:
        numbers: to draw from.
        share: between 0 and 1.
        seed: of the draw.
    """
    among = sorted(numbers)
    count = max(1, round(share * len(among)))
    return sorted(np.random.default_rng(seed).permutation(among)[:count].tolist())


def _known(writer: FolderWriter, number: int) -> EpisodeSummary:
    if number not in writer.summaries_by_number:
        raise DatasetError(f"{writer.path} has no readable episode {number}")
    return writer.summaries_by_number[number]
