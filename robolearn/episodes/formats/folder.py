"""A folder of episodes, of which none can harm another: the form in which robolearn records.

::

    DATASET/
      episodes/episode_000000.hdf5   one file an episode, each a whole dataset of robomimic's layout
      episodes.jsonl                 one line an episode: length, labels, split, checksum
      index.hdf5                     what peers open: data/demo_i are links into the files above

An episode's file appears by a rename, when it is complete and on the disk; then its line is added,
and now and then, and at the end, the peers' index is replaced. A kill at any moment leaves every
episode that was there before, and what the indices miss is caught up with by the next writer.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType

import h5py

from robolearn.episodes.dataset import Dataset, DatasetWriter, EpisodeSummary, is_valid
from robolearn.episodes.episode import Episode, require_same_features
from robolearn.episodes.formats.folder_index import Entry, FolderIndex
from robolearn.episodes.formats.hdf5 import (
    read_context,
    read_episode,
    read_summary,
    write_env_args,
    write_episode,
)
from robolearn.episodes.formats.hdf5_file import write_totals
from robolearn.episodes.formats.safe_hdf5 import checksum, look_through, reading, trust, writing
from robolearn.episodes.frames import EpisodeContext
from robolearn.episodes.images import CodecName
from robolearn.episodes.journal import read_journal
from robolearn.errors import DatasetError
from robolearn.folders import claimed, commit
from robolearn.interrupts import interrupt_held_back

INDEX = "episodes.jsonl"
PEERS_INDEX = "index.hdf5"
EPISODES = "episodes"
_EPISODE = re.compile(r"episode_([0-9]{6}|[1-9][0-9]{6,17})\.hdf5")
_JOURNAL = ".journal"
_AHEAD = 64
"""Episodes that are looked through at once, before they are read one after the other."""
_GROWTH = 1.1
"""The peers' index is replaced when there are this many times more episodes: O(1) for each."""


class FolderDataset(Dataset):
    """Reads a folder of episodes.

    Raises:
        DatasetError: it has no episodes.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._numbers = episode_numbers(path)
        if not self._numbers:
            hint = f"; keep what was in flight with: robolearn edit {path} recover"
            raise DatasetError(
                f"{path} is no dataset: it has no {EPISODES}/*.hdf5{hint * bool(journals(path))}"
            )
        self._entries = folder_index(path).entries

    def __len__(self) -> int:
        return len(self._numbers)

    @cached_property
    def summaries(self) -> Sequence[EpisodeSummary]:
        missing = [number for number in self._numbers if number not in self._entries]
        look_through([episode_path(self.path, number) for number in missing])
        return [
            self._entries[number].summary
            if number in self._entries
            else _summary_of(episode_path(self.path, number), number)
            for number in self._numbers
        ]

    @property
    def context(self) -> EpisodeContext:
        number = self._numbers[0]
        with reading(episode_path(self.path, number), self._crc32(number)) as file:
            context = read_context(file, "demo_0")
        if number in self._entries:
            context = replace(context, task=self._entries[number].summary.task)
        return context

    def episode(self, index: int) -> Episode:
        number = self._numbers[index]
        return _read(self.path, number, self._entries.get(number))

    def episodes(self, indices: Sequence[int]) -> Iterator[Episode]:
        for first in range(0, len(indices), _AHEAD):
            following = indices[first : first + _AHEAD]
            look_through([episode_path(self.path, self._numbers[index]) for index in following])
            for index in following:
                yield self.episode(index)

    def look_through(self) -> None:
        """Look through all files at once, which then need not be done for each."""
        look_through([episode_path(self.path, number) for number in self._numbers])

    def require_intact(self, index: int) -> None:
        """Refuse an episode's file that is not as it was recorded, or cannot be opened.

        Raises:
            DatasetError: it is not; names the file.
        """
        number = self._numbers[index]
        with reading(episode_path(self.path, number), self._crc32(number)):
            pass

    def _crc32(self, number: int) -> int | None:
        return self._entries[number].crc32 if number in self._entries else None


class FolderWriter(DatasetWriter):
    """Adds episodes to a folder, which is made if it is not there, and changes what it holds.

    Args:
        path: of the folder.
        images: how they are encoded; None leaves them as they are, and others without loss.

    Raises:
        FolderInUse: the folder holds something else, or another process is recording into it.
    """

    def __init__(self, path: Path | str, images: CodecName | None = None) -> None:
        path = Path(path)
        super().__init__(path)
        self._images: CodecName | None = images
        self._claim = contextlib.ExitStack()
        self._claim.enter_context(claimed(path, "dataset", marker=EPISODES))
        try:
            (path / EPISODES).mkdir(exist_ok=True)
            self._discard_staged()
            self.index = folder_index(path)
            self._numbers = set(episode_numbers(path))
            self._catch_up()
            self._discard_empty_journals()
            self._context = self._newest_context()
            self._next = max(self._numbers, default=-1) + 1
            self._peers_index_is_stale = not self._peers_index_is_newest()
            # Episodes in the index that was written last.
            self._peers_know = 0 if self._peers_index_is_stale else len(self._numbers)
        except BaseException:
            self._claim.close()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._discard_staged()
            self._catch_up()
            if self._peers_index_is_stale:
                self._write_peers_index()
            self._discard_empty_journals()
            if not self._numbers and not journals(self.path):
                self._remove_if_empty()
        finally:
            self._claim.close()

    def __len__(self) -> int:
        return len(self._numbers)

    def require_same_features(self, context: EpisodeContext) -> None:
        """Refuse episodes that would not fit those that are there, before they are recorded.

        Raises:
            FeatureMismatch: names what differs.
        """
        if self._context is not None:
            require_same_features(self._context, context, self.path)

    def add(self, episode: Episode, *, valid: bool | None = None) -> int:
        staged = self.stage("episode")
        try:
            write_episode(episode, staged, images=self._images)
            trust(staged)
            return self.commit(staged, valid=valid)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise

    def add_file(self, path: Path, labels: EpisodeSummary) -> int:
        """Add an episode's file as it is: the same bytes under a second name where that can be.

        Args:
            path: of the file.
            labels: what is known of it, its split included.

        Returns:
            Its number, also where the very same file is an episode already.

        Raises:
            FeatureMismatch: its features, action or rate are not those of the dataset.
            OSError: the disk is full.
        """
        crc32, size = checksum(path), path.stat().st_size
        for number, entry in self.index.entries.items():
            if (entry.crc32, entry.bytes) == (crc32, size) and number in self._numbers:
                return number
        staged = self.stage("episode")
        try:
            try:
                staged.hardlink_to(path.resolve())
            except OSError:  # another file system, or one without hard links
                shutil.copyfile(path, staged)
            with reading(path):  # looks through it
                trust(staged)
            return self._commit(staged, lambda found: replace(labels, number=found.number))
        finally:
            staged.unlink(missing_ok=True)

    def episode(self, number: int) -> Episode:
        """Read an episode.

        Raises:
            DatasetError: there is none of this number, or it cannot be read.
        """
        return _read(self.path, number, self._entry(number))

    @property
    def summaries_by_number(self) -> dict[int, EpisodeSummary]:
        """What is known of each episode that can be read, by its number, ascending."""
        entries = self.index.entries
        return {
            number: entries[number].summary for number in sorted(self._numbers & entries.keys())
        }

    def stage(self, name: str) -> Path:
        """Path of a file in which an episode may be written before it is committed."""
        return self.path / EPISODES / f".{name}.part"

    def journal(self) -> Path:
        """Path of a new file for a `Recorder`; what a kill leaves there, `in_flight` finds."""
        names = (self.path / EPISODES / f".{number}{_JOURNAL}" for number in itertools.count())
        return next(path for path in names if not path.exists())

    def commit(self, staged: Path, *, valid: bool | None = None) -> int:
        """Make a staged file, which this program has written, the next episode.

        Returns:
            Its number.

        Raises:
            FeatureMismatch: its features, action or rate are not those of the dataset.
            OSError: the disk is full.
        """
        trust(staged)
        return self._commit(
            staged, lambda found: found if valid is None else replace(found, valid=valid)
        )

    def substitute(self, number: int, episode: Episode) -> None:
        """Put an episode, whole or in part, in the place of one that is there.

        Raises:
            DatasetError: there is no episode of this number.
            OSError: the disk is full; the old one is as it was.
        """
        valid = self._entry(number).summary.valid
        staged = self.stage("episode")
        try:
            write_episode(episode, staged, images=self._images)
            trust(staged)
            entry = self._entry_of(staged, number)
            # The line comes first: until the file is there, the line before it holds.
            self.index.append(replace(entry, summary=replace(entry.summary, valid=valid)))
            self._peers_index_is_stale = True
            _commit_trusted(staged, episode_path(self.path, number))
            with contextlib.suppress(OSError):  # a line too many does no harm
                self.index.replace(self.index.entries.values())
        finally:
            staged.unlink(missing_ok=True)

    def relabel(self, changes: Mapping[int, EpisodeSummary]) -> None:
        """Change labels and split of episodes; their files are not touched.

        Args:
            changes: what is known of them from now on, by their numbers.

        Raises:
            DatasetError: there is no episode of a number.
            OSError: the disk is full; all labels are as they were.
        """
        changed = {
            number: replace(self._entry(number), summary=summary)
            for number, summary in changes.items()
        }
        if len(changed) == 1:
            self.index.append(*changed.values())
        else:
            self.index.replace((self.index.entries | changed).values())
        self._peers_index_is_stale = True

    def delete(self, numbers: Iterable[int]) -> None:
        """Delete episodes. The numbers of the others stay.

        Raises:
            DatasetError: there is no episode of a number; none is deleted.
        """
        gone = set(numbers)
        for number in gone - self._numbers:
            raise DatasetError(f"{self.path} has no episode {number}")
        # First the file: an entry without one is dropped by the next writer.
        for number in sorted(gone):
            episode_path(self.path, number).unlink()
            self._numbers.discard(number)
        self._peers_index_is_stale = True
        kept = (entry for number, entry in self.index.entries.items() if number not in gone)
        self.index.replace(kept)

    def accept(self, number: int) -> None:
        """Take an episode's file as it is now for what was recorded.

        Raises:
            DatasetError: there is none, or it cannot be read.
        """
        self._entry(number)
        path = episode_path(self.path, number)
        summary = replace(self._entry(number).summary, frames=_summary_of(path, number).frames)
        self.index.append(Entry(summary, path.stat().st_size, checksum(path)))

    def in_flight(self) -> dict[Path, Episode]:
        """Episodes that were being recorded when a recording ended unexpectedly, by their journals.

        Those that cannot be read are in `unreadable_journals`.
        """
        return {
            journal: found
            for journal, found in self._journals().items()
            if isinstance(found, Episode)
        }

    def unreadable_journals(self) -> dict[Path, DatasetError]:
        """What is wrong with journals of which no frame can be read."""
        return {
            journal: found
            for journal, found in self._journals().items()
            if isinstance(found, DatasetError)
        }

    def recover(self, journal: Path) -> int:
        """Keep an episode that was cut off, and remove its journal.

        Args:
            journal: one of `in_flight`.

        Returns:
            The episode's number.

        Raises:
            DatasetError: the journal has no frame, or is damaged from its beginning.
            FeatureMismatch: its features, action or rate are not those of the dataset.
            OSError: the disk is full; the journal is still there.
        """
        episode = read_journal(journal)
        if episode is None:
            raise DatasetError(f"{journal} was cut off before its first frame")
        number = self.add(episode)
        journal.unlink()
        return number

    def _journals(self) -> dict[Path, Episode | DatasetError | None]:
        found: dict[Path, Episode | DatasetError | None] = {}
        for journal in journals(self.path):
            try:
                found[journal] = read_journal(journal)
            except DatasetError as error:
                found[journal] = error
        return found

    def _discard_empty_journals(self) -> None:
        """Remove journals without a frame, or of what was kept in the very last moment."""
        for journal, found in self._journals().items():
            if found is None or (isinstance(found, Episode) and self._is_newest(found)):
                journal.unlink()

    def _is_newest(self, episode: Episode) -> bool:
        if not self._numbers:
            return False
        number = max(self._numbers)
        try:
            newest = read_episode(episode_path(self.path, number), crc32=self._crc32(number))
        except DatasetError:
            return False
        return (
            len(newest) == len(episode)
            and newest.recorded_at == episode.recorded_at
            and all(
                (newest.timestamps[name] == times).all()
                for name, times in episode.timestamps.items()
                if name in newest.timestamps
            )
        )

    def _commit(self, staged: Path, labelled: Callable[[EpisodeSummary], EpisodeSummary]) -> int:
        """Make a staged file the next episode, with what is to be said of it."""
        number = self._next
        path = episode_path(self.path, number)
        try:
            entry = self._entry_of(staged, number)
            self._peers_index_is_stale = True
            _commit_trusted(staged, path)
            self.index.append(replace(entry, summary=labelled(entry.summary)))
        finally:
            if path.exists():  # whatever came in between: it is kept
                self._numbers.add(number)
                self._next = number + 1
        if len(self._numbers) >= _GROWTH * self._peers_know:
            self._write_peers_index()
        return number

    def _entry_of(self, staged: Path, number: int) -> Entry:
        """The entry of a staged file, which fits the dataset.

        Raises:
            FeatureMismatch: its features, action or rate are not those of the dataset.
        """
        crc32 = checksum(staged)
        with reading(staged) as file:
            context = read_context(file, "demo_0")
            summary = read_summary(file, "demo_0", number, is_valid(number))
        self.require_same_features(context)
        self._context = context
        return Entry(summary, staged.stat().st_size, crc32)

    def _entry(self, number: int) -> Entry:
        if number not in self._numbers:
            raise DatasetError(f"{self.path} has no episode {number}")
        if number not in self.index.entries:
            raise DatasetError(f"{episode_path(self.path, number)} cannot be read")
        return self.index.entries[number]

    def _crc32(self, number: int) -> int | None:
        entry = self.index.entries.get(number)
        return None if entry is None else entry.crc32

    def _discard_staged(self) -> None:
        for staged in (self.path / EPISODES).glob(".*.part"):
            staged.unlink()

    def _catch_up(self) -> None:
        """Add what a kill kept from the index, and drop what was deleted by hand."""
        missing = sorted(self._numbers - self.index.entries.keys())
        look_through([episode_path(self.path, number) for number in missing])
        for number in missing:
            path = episode_path(self.path, number)
            with contextlib.suppress(DatasetError):  # damaged: `check` names it, others go on
                summary = _summary_of(path, number)
                self.index.append(Entry(summary, path.stat().st_size, checksum(path)))
        if self.index.damaged or self.index.entries.keys() - self._numbers:
            entries = self.index.entries.values()
            self.index.replace(entry for entry in entries if entry.summary.number in self._numbers)

    def _newest_context(self) -> EpisodeContext | None:
        for number in sorted(self._numbers, reverse=True):
            with contextlib.suppress(DatasetError):
                return _context_of(episode_path(self.path, number), self._crc32(number))
        return None

    def _peers_index_is_newest(self) -> bool:
        try:
            changed = (self.path / INDEX).stat().st_mtime_ns
            return (self.path / PEERS_INDEX).stat().st_mtime_ns >= changed
        except OSError:
            return False

    def _write_peers_index(self) -> None:
        path = self.path / PEERS_INDEX
        if not self._numbers:
            path.unlink(missing_ok=True)
            return
        staged = path.with_name(f".{path.name}.part")
        staged.unlink(missing_ok=True)
        try:
            with interrupt_held_back(), writing(staged) as target:
                data = target.file.create_group("data")
                if self._context is not None:
                    write_env_args(data, self._context)
                frames = 0
                masks: dict[bool, list[str]] = {False: [], True: []}
                for number in sorted(self.index.entries.keys() & self._numbers):
                    summary = self.index.entries[number].summary
                    name = f"demo_{number}"
                    inside = f"{EPISODES}/{episode_path(self.path, number).name}"
                    data[name] = h5py.ExternalLink(inside, "data/demo_0")
                    masks[summary.valid].append(name)
                    frames += summary.frames
                write_totals(target.file, frames, masks)
            commit(staged, path)
            self._peers_know = len(self._numbers)
            self._peers_index_is_stale = False
        finally:
            staged.unlink(missing_ok=True)

    def _remove_if_empty(self) -> None:
        (self.path / INDEX).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something else is in it
            (self.path / EPISODES).rmdir()
            self.path.rmdir()


def count_episodes(path: Path) -> int:
    """Episodes in a dataset folder; 0 where there is none."""
    return len(episode_numbers(path))


def episode_numbers(path: Path) -> list[int]:
    """Numbers of the episodes in a dataset folder, ascending."""
    names = (_EPISODE.fullmatch(file.name) for file in (path / EPISODES).glob("episode_*.hdf5"))
    return sorted(int(name[1]) for name in names if name)


def episode_path(dataset: Path, number: int) -> Path:
    """The file of the episode of that number."""
    return dataset / EPISODES / f"episode_{number:06d}.hdf5"


def journals(dataset: Path) -> list[Path]:
    """Journals of episodes in flight, of a recording that goes on or that ended unexpectedly."""
    return sorted((dataset / EPISODES).glob(f".*{_JOURNAL}"))


def folder_index(dataset: Path) -> FolderIndex:
    """The index of a dataset folder."""
    return FolderIndex(dataset / INDEX, lambda number: episode_path(dataset, number))


def _commit_trusted(staged: Path, path: Path) -> None:
    commit(staged, path)
    trust(path)  # the staged file was looked through, or written by this process


def _read(dataset: Path, number: int, entry: Entry | None) -> Episode:
    path = episode_path(dataset, number)
    if entry is None:
        return read_episode(path)
    return _labelled(read_episode(path, crc32=entry.crc32), entry.summary)


def _context_of(path: Path, crc32: int | None) -> EpisodeContext:
    with reading(path, crc32) as file:
        return read_context(file, "demo_0")


def _summary_of(path: Path, number: int) -> EpisodeSummary:
    with reading(path) as file:
        return read_summary(file, "demo_0", number, is_valid(number))


def _labelled(episode: Episode, labels: EpisodeSummary) -> Episode:
    """An episode with the labels that were given to it after it was recorded."""
    outcome = episode.outcome
    if labels.success != outcome.success:
        outcome = replace(outcome, success=labels.success, success_at_end=labels.success)
    return replace(
        episode,
        context=replace(episode.context, task=labels.task),
        outcome=outcome,
        operator=labels.operator,
        notes=labels.notes,
    )
