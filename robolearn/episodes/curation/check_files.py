"""What is wrong with a dataset's files, whatever their frames hold.

Nothing here needs the dataset to be readable as a whole: each file, group and array is looked at by
itself. A new form of dataset is a subclass of `CheckedFiles`, with its place in `checked_files`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from robolearn.episodes.curation.problems import Problem, in_words, ranges_of, runs
from robolearn.episodes.dataset import Dataset
from robolearn.episodes.description import Description
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ACTION
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import (
    EPISODES,
    INDEX,
    PEERS_INDEX,
    FolderDataset,
    episode_numbers,
    episode_path,
    folder_index,
    journals,
)
from robolearn.episodes.formats.folder_index import Entry
from robolearn.episodes.formats.hdf5 import OWN, read_episode
from robolearn.episodes.formats.hdf5_file import Hdf5Dataset
from robolearn.episodes.formats.layouts import robomimic_key
from robolearn.episodes.formats.safe_hdf5 import array, has, member, reading, require_bounded
from robolearn.episodes.journal import read_journal
from robolearn.errors import DatasetError

_TRAIN, _VALID = "train", "valid"
_NAMES_SHOWN = 5
_HDF5_SUFFIXES = {".hdf5", ".h5"}


class CheckedFiles(ABC):
    """The files of a dataset of one form.

    Attributes:
        numbers: of the episodes, in their order.
    """

    numbers: Sequence[int]

    @abstractmethod
    def problems(self) -> Iterator[Problem]:
        """What is wrong with the files that are no single episode's."""

    @abstractmethod
    def episode(self, index: int) -> Episode:
        """Read the episode at this place.

        Raises:
            DatasetError: it cannot be read.
        """

    def layout(self, index: int) -> Iterator[Problem]:
        """What is wrong with how an episode is stored, read or not.

        Raises:
            DatasetError: not even that can be looked at.
        """
        yield from ()

    def refused(self, index: int) -> Iterator[Problem]:
        """What more can be said of an episode that could not be read.

        Raises:
            DatasetError: nothing.
        """
        yield from ()


def checked_files(path: Path) -> CheckedFiles:
    """The files of the dataset at this path, even where it cannot be opened.

    Raises:
        DatasetError: it is no dataset.
    """
    if path.name == PEERS_INDEX and (path.parent / EPISODES).is_dir():
        path = path.parent
    if (path / EPISODES).is_dir():
        files = FolderFiles(path)
        if files.numbers or journals(path):
            return files
    elif path.is_file() and (path.suffix in _HDF5_SUFFIXES or h5py.is_hdf5(path)):
        return Hdf5File(path)
    return OtherFiles(open_dataset(path))


class OtherFiles(CheckedFiles):
    """A dataset of which nothing more is known than how to read it."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self.numbers = [summary.number for summary in dataset.summaries]

    def problems(self) -> Iterator[Problem]:
        yield from ()

    def episode(self, index: int) -> Episode:
        return self._dataset.episode(index)


class FolderFiles(CheckedFiles):
    """A folder with a file for each episode; see `robolearn.episodes.formats.folder`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.numbers = episode_numbers(path)
        self._dataset = FolderDataset(path) if self.numbers else None
        self._index = folder_index(path)

    def problems(self) -> Iterator[Problem]:
        yield from self._strange_files()
        yield from self._in_flight()
        yield from self._wrong_index()
        yield from self._wrong_peers_index()

    def episode(self, index: int) -> Episode:
        if self._dataset is None:
            raise DatasetError(f"{self._path} has no episodes")
        return self._dataset.episode(index)

    def layout(self, index: int) -> Iterator[Problem]:
        number = self.numbers[index]
        path = episode_path(self._path, number)
        entry = self._index.entries.get(number)
        if entry is not None and (size := path.stat().st_size) != entry.bytes:
            what = "it is cut off" if size < entry.bytes else "something was added to it"
            message = f"{path} has {size} bytes where {entry.bytes} were recorded: {what}"
            yield Problem("error", "unreadable", message, number)
            return
        with reading(path, None if entry is None else entry.crc32) as file:
            found = list(_demo_problems(file, "demo_0", number))
            if entry is not None:
                found += _index_differs(file, entry)
        yield from found

    def refused(self, index: int) -> Iterator[Problem]:
        number = self.numbers[index]
        entry = self._index.entries.get(number)
        path = episode_path(self._path, number)
        with reading(path, None if entry is None else entry.crc32) as file:
            found = list(_scalar_problems(file, "demo_0", number))
        yield from found

    def _strange_files(self) -> Iterator[Problem]:
        known = {episode_path(self._path, number) for number in self.numbers}
        for file in sorted((self._path / EPISODES).iterdir()):
            if file.suffix == ".part":
                message = f"{file} was left by a killed writer; the next one removes it"
                yield Problem("warning", "leftover", message)
            elif file.suffix in _HDF5_SUFFIXES and file not in known:
                message = f"{file} is not called episode_000000.hdf5 or the like, and is not read"
                yield Problem("warning", "strange_file", message)

    def _in_flight(self) -> Iterator[Problem]:
        for journal in journals(self._path):
            try:
                episode = read_journal(journal)
            except DatasetError as error:
                yield Problem("error", "leftover", str(error))
                continue
            frames = 0 if episode is None else len(episode)
            yield Problem(
                "warning",
                "leftover",
                f"{journal} holds {frames} frames of an episode in flight: it is being recorded, "
                f"or was cut off by Ctrl-C or a kill; then robolearn edit {self._path} "
                "recover keeps it",
            )

    def _wrong_index(self) -> Iterator[Problem]:
        path = self._path / INDEX
        if not path.is_file():
            return
        for position in self._index.damaged:
            yield Problem("warning", "index", f"{path}, line {position} cannot be read")
        indexed = self._index.entries.keys()
        for number in sorted(indexed - set(self.numbers)):
            message = f"{path} names it, and there is no {episode_path(self._path, number)}"
            yield Problem("error", "index", message, number)
        for number in sorted(set(self.numbers) - indexed):
            message = f"{episode_path(self._path, number)} is not in {INDEX}, so has no checksum"
            yield Problem("warning", "index", message, number)

    def _wrong_peers_index(self) -> Iterator[Problem]:
        path = self._path / PEERS_INDEX
        if not path.is_file():
            if self.numbers:
                message = f"{path} is missing: robomimic cannot open the folder"
                yield Problem("warning", "peers_index", message)
            return
        try:
            with reading(path) as file:
                found = list(self._wrong_links(path, file))
                found += _wrong_masks(path, file)
        except DatasetError as error:
            found = [Problem("error", "peers_index", str(error))]
        yield from found

    def _wrong_links(self, path: Path, file: h5py.File) -> Iterator[Problem]:
        data = member(file, "data")
        linked = set()
        for name in data:
            link = data.get(name, getlink=True)
            if not isinstance(link, h5py.ExternalLink):
                yield Problem("error", "peers_index", f"{path}: data/{name} is no link to a file")
                continue
            target = path.parent / link.filename
            linked.add(target)
            if not target.resolve().is_relative_to(path.parent.resolve()):
                message = f"{path}: data/{name} leads to {link.filename}, outside the dataset"
                yield Problem("error", "peers_index", message)
            elif not target.is_file():
                message = f"{path}: data/{name} leads to {link.filename}, which is not there"
                yield Problem("error", "peers_index", message)
        missing = [n for n in self.numbers if episode_path(self._path, n) not in linked]
        if missing:
            message = f"{path} lacks the episodes {in_words(ranges_of(missing))}"
            yield Problem("warning", "peers_index", message)


class Hdf5File(CheckedFiles):
    """One file in robomimic's layout."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._problems: list[Problem] = []
        self._dataset: Dataset | None = None
        self._names: list[str] = []
        try:
            with reading(path) as file:
                self._problems += _wrong_groups(path, file)
                self._problems += _wrong_masks(path, file)
                self._problems += _wrong_total(path, file)
                self._names = _demo_names(file)
            self._dataset = Hdf5Dataset(path)
        except DatasetError as error:
            if not self._problems:
                self._problems.append(Problem("error", "unreadable", str(error)))
        self.numbers = [_number(name) for name in self._names]

    def problems(self) -> Iterator[Problem]:
        yield from self._problems

    def episode(self, index: int) -> Episode:
        if self._dataset is not None:
            return self._dataset.episode(index)
        return read_episode(self._path, self._names[index])

    def layout(self, index: int) -> Iterator[Problem]:
        yield from self._look(index, _demo_problems)

    def refused(self, index: int) -> Iterator[Problem]:
        yield from self._look(index, _scalar_problems)

    def _look(self, index: int, problems: Any) -> list[Problem]:
        with reading(self._path) as file:
            name = self._names[index]
            if not isinstance(member(file, "data").get(name, getlink=True), h5py.HardLink):
                return []
            return list(problems(file, name, self.numbers[index]))


def _demo_problems(file: h5py.File, name: str, number: int) -> Iterator[Problem]:
    """Arrays that are missing or of another length, told by their shapes alone."""
    demo = member(file, f"data/{name}")
    described = _described(demo)
    lengths = {}
    for key, found in _arrays(demo):
        if isinstance(found, str):
            yield Problem("error", "unreadable", found, number, key)
        elif not _holds_frames(key):
            continue
        elif found.ndim == 0:
            yield Problem("error", "lengths", "it holds no frames, but one number", number, key)
        else:
            lengths[key] = len(found)
    for key in sorted(_required(described) - lengths.keys()):
        yield Problem("error", "missing", "it is missing", number, key)
    if described is not None:
        known = {robomimic_key(feature) for feature in described}
        for key in sorted(key for key in lengths if key.startswith("obs/")):
            if key not in known:
                message = "it is described as no feature, and not read"
                yield Problem("warning", "undescribed", message, number, key)
    actions = robomimic_key(ACTION)
    if actions not in lengths:
        return
    for key, length in lengths.items():
        if length != lengths[actions]:
            message = f"it has {length} frames where {actions} has {lengths[actions]}"
            yield Problem("error", "lengths", message, number, key)
    declared = demo.attrs.get("num_samples")
    if declared is not None and np.shape(declared) == () and int(declared) != lengths[actions]:
        message = f"num_samples is {declared} where {actions} has {lengths[actions]} frames"
        yield Problem("error", "lengths", message, number)


def _scalar_problems(file: h5py.File, name: str, number: int) -> Iterator[Problem]:
    """Numbers that are not finite where an episode is refused for them."""
    demo = member(file, f"data/{name}")
    for key, found in _arrays(demo):
        scalar = key in {"rewards", "dones"} or key.startswith(f"{OWN}/")
        if isinstance(found, str) or not scalar or not _holds_frames(key):
            continue
        if found.ndim != 1 or found.dtype.kind not in "biuf":
            yield Problem("error", "not_finite", "it is not one number a frame", number, key)
            continue
        bad = ~np.isfinite(array(demo, key))
        if bad.any():
            yield Problem("error", "not_finite", "it is not finite", number, key, runs(bad))


def _arrays(group: h5py.Group, above: str = "") -> Iterator[tuple[str, Any]]:
    """Name and dataset of all below a group; instead of what is refused, the reason."""
    for name in sorted(group):
        key = f"{above}{name}"
        try:
            found = member(group, name)
        except DatasetError as error:
            yield key, str(error)
            continue
        if isinstance(found, h5py.Group):
            yield from _arrays(found, f"{key}/")
        elif isinstance(found, h5py.Dataset):
            yield key, found


def _holds_frames(key: str) -> bool:
    return key != f"{OWN}/model_file"


def _described(demo: h5py.Group) -> list[str] | None:
    """Names of the features that the description promises; None where there is no description."""
    if not has(demo, OWN):
        return None
    try:
        text = member(demo, OWN).attrs["description"]
        return list(Description.from_json(text).features)
    except (KeyError, DatasetError):
        return None  # reading the episode says what is wrong with it


def _required(described: list[str] | None) -> set[str]:
    required = {robomimic_key(ACTION)}
    if described is not None:
        features = {robomimic_key(feature) for feature in (*described, ACTION)}
        required |= features | {f"{OWN}/timestamps/{key}" for key in features}
        required |= {"rewards", f"{OWN}/success", f"{OWN}/time"}
    return required


def _index_differs(file: h5py.File, entry: Entry) -> Iterator[Problem]:
    demo, actions = member(file, "data/demo_0"), robomimic_key(ACTION)
    if has(demo, actions) and (frames := len(member(demo, actions))) != entry.summary.frames:
        message = f"{INDEX} says {entry.summary.frames} frames, its file has {frames}"
        yield Problem("error", "index", message, entry.summary.number)


def _wrong_groups(path: Path, file: h5py.File) -> Iterator[Problem]:
    if not has(file, "data"):
        yield Problem("error", "unreadable", f"{path}: there is no group 'data'")
        return
    data = member(file, "data")
    names = _demo_names(file)
    if not len(data):
        yield Problem("error", "empty", f"{path}: there are no episodes in its group 'data'")
    for name in sorted(set(data) - set(names)):
        message = f"{path}: the group data/{name} is not called demo_0 or the like"
        yield Problem("error", "unreadable", message)


def _wrong_total(path: Path, file: h5py.File) -> Iterator[Problem]:
    if not has(file, "data") or "total" not in (data := member(file, "data")).attrs:
        return
    total, frames = data.attrs["total"], 0
    for name in _demo_names(file):
        key = f"{name}/{robomimic_key(ACTION)}"
        try:
            frames += len(member(data, key))
        except (DatasetError, TypeError):
            return  # a link into another file, or nothing
    if np.shape(total) != () or int(total) != frames:
        message = f"{path}: data declares a total of {total} frames, its episodes have {frames}"
        yield Problem("warning", "total", message)


def _wrong_masks(path: Path, file: h5py.File) -> Iterator[Problem]:
    """Masks that name absent episodes, and a split that is none."""
    if not has(file, "mask") or not has(file, "data"):
        return
    if not isinstance(member(file, "mask"), h5py.Group):
        yield Problem("error", "mask", f"{path}: mask is no group of lists of names")
        return
    there = set(_demo_names(file))
    masks: dict[str, set[str]] = {}
    for mask in sorted(member(file, "mask")):
        try:
            masks[mask] = _names_in(file, f"mask/{mask}")
        except DatasetError as error:
            yield Problem("error", "mask", f"{path}: {error}")
            continue
        if absent := masks[mask] - there:
            message = f"{path}: mask/{mask} names absent episodes: {_some(absent)}"
            yield Problem("error", "mask", message)
    if _TRAIN not in masks or _VALID not in masks:
        return
    if both := masks[_TRAIN] & masks[_VALID] & there:
        message = f"{path}: both for training and for validation: {_some(both)}"
        yield Problem("warning", "mask", message)
    if neither := there - masks[_TRAIN] - masks[_VALID]:
        message = f"{path}: neither for training nor for validation: {_some(neither)}"
        yield Problem("warning", "mask", message)


def _names_in(file: h5py.File, key: str) -> set[str]:
    mask = member(file, key)
    if not isinstance(mask, h5py.Dataset) or mask.ndim != 1 or mask.dtype.kind not in "SO":
        raise DatasetError(f"{key} is no list of names")
    require_bounded(mask, key)
    return {
        name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in mask[()]
    }


def _some(names: set[str]) -> str:
    ordered = sorted(names, key=lambda name: (len(name), name))
    more = len(ordered) - _NAMES_SHOWN
    return ", ".join(ordered[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _demo_names(file: h5py.File) -> list[str]:
    names = member(file, "data") if has(file, "data") else ()
    return sorted((name for name in names if name[-1:].isdecimal()), key=_number)


def _number(name: str) -> int:
    digits = len(name) - len(name.rstrip("0123456789"))
    return int(name[-digits:])
