"""A folder of episodes, of which none can harm another.

::

    DATASET/
      index.hdf5                     what peers open: data/demo_i are links into the files below
      episodes/episode_000000.hdf5   one file an episode, each a whole dataset in itself

An episode's file appears by a rename, when it is complete and on the disk; then the index is
replaced by a rename. A kill at any moment leaves every episode that was there before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal

import h5py
import numpy as np

from robolearn.episodes.episode import Episode
from robolearn.episodes.frames import EpisodeContext
from robolearn.episodes.hdf5 import hdf5_in_memory, read_context, read_episode, write_episode
from robolearn.errors import DatasetError, FeatureMismatch
from robolearn.folders import claimed, commit

type Split = Literal["train", "valid", "all"]

INDEX = "index.hdf5"
_EPISODES = "episodes"
_DIGITS = 6
_VALID_EVERY = 10
"""Each tenth episode is for validation; adding episodes moves none to the other side."""


class Dataset:
    """Reads demonstrations.

    Args:
        path: a dataset folder, or one HDF5 file in robomimic's layout.

    Raises:
        DatasetError: there is nothing, or nothing readable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_dir():
            files = _episode_files(path)
            if not files:
                raise DatasetError(f"{path} is no dataset: it has no {_EPISODES}/*.hdf5")
            self._demos = [(file, "data/demo_0") for file in files]
            numbers = map(_number, files)
            self._valid = {index for index, number in enumerate(numbers) if _is_valid(number)}
        elif path.is_file():
            self._demos, self._valid = _demos_in(path)
        else:
            raise DatasetError(f"there is no dataset {path}")

    def __len__(self) -> int:
        return len(self._demos)

    @property
    def context(self) -> EpisodeContext:
        """Of the first episode: features, action and rate are the same in all.

        Raises:
            DatasetError: it cannot be read.
        """
        with self._demo(0) as demo:
            return read_context(demo)

    def split(self, split: Split) -> list[int]:
        """Indices of the episodes on that side of the split between training and validation."""
        return [
            index
            for index in range(len(self))
            if split == "all" or (index in self._valid) == (split == "valid")
        ]

    def episode(self, index: int) -> Episode:
        """Read one episode.

        Raises:
            DatasetError: it cannot be read; names the file.
        """
        with self._demo(index) as demo:
            return read_episode(demo)

    def episodes(self, indices: Sequence[int]) -> Iterator[Episode]:
        """Read episodes one after the other."""
        return (self.episode(index) for index in indices)

    @contextlib.contextmanager
    def _demo(self, index: int) -> Iterator[h5py.Group]:
        path, name = self._demos[index]
        with _reading(path) as file:
            yield file[name]


class DatasetWriter:
    """Adds episodes to a dataset folder, which is made if it is not there. A context manager.

    Args:
        path: of the folder.

    Raises:
        FolderInUse: the folder holds something else, or another process is recording into it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._claim = contextlib.ExitStack()
        self._claim.enter_context(claimed(path, "dataset", marker=_EPISODES))
        episodes = path / _EPISODES
        episodes.mkdir(exist_ok=True)
        self._discard_staged()
        files = _episode_files(path)
        self._count = len(files)
        self._next = _number(files[-1]) + 1 if files else 0
        self._write_index()

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._discard_staged()
            if self._indexed != count_episodes(self.path):  # interrupted between the two
                self._write_index()
        finally:
            if not count_episodes(self.path):
                with contextlib.suppress(OSError):  # something else is in it
                    (self.path / _EPISODES).rmdir()
                    self.path.rmdir()
            self._claim.close()

    def _discard_staged(self) -> None:
        for staged in (self.path / _EPISODES).glob(".*.part"):
            staged.unlink()

    def __len__(self) -> int:
        return self._count

    def stage(self, name: str) -> Path:
        """Path of a file in which an episode may be written before it is committed."""
        return self.path / _EPISODES / f".{name}.part"

    def add(self, episode: Episode) -> int:
        """Write and commit an episode.

        Returns:
            Its number.

        Raises:
            OSError: the disk is full or the folder cannot be written.
        """
        staged = self.stage("episode")
        try:
            write_episode(episode, staged)
            return self.commit(staged)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise

    def commit(self, staged: Path) -> int:
        """Make a staged file the next episode.

        Returns:
            Its number.

        Raises:
            FeatureMismatch: its features, action or rate are not those of the dataset.
        """
        files = _episode_files(self.path)
        if files:
            _require_same_features(_context_of(files[0]), _context_of(staged))
        number = self._next
        commit(staged, _episode_path(self.path, number))
        self._count += 1
        self._next += 1
        self._write_index()
        return number

    def _write_index(self) -> None:
        files = _episode_files(self.path)
        self._indexed = 0
        if not files:
            return
        staged = self.path / f".{INDEX}.part"
        staged.unlink(missing_ok=True)
        try:
            with hdf5_in_memory(staged) as index:
                data = index.create_group("data")
                total = 0
                valid: dict[bool, list[str]] = {False: [], True: []}
                for path in files:
                    number = _number(path)
                    with _reading(path) as file:
                        total += int(file["data/demo_0"].attrs["num_samples"])
                        if "env_args" not in data.attrs and "env_args" in file["data"].attrs:
                            data.attrs["env_args"] = file["data"].attrs["env_args"]
                    name = f"demo_{number}"
                    data[name] = h5py.ExternalLink(f"{_EPISODES}/{path.name}", "data/demo_0")
                    valid[_is_valid(number)].append(name)
                data.attrs["total"] = total
                index["mask/train"] = np.array(valid[False], dtype="S")
                index["mask/valid"] = np.array(valid[True], dtype="S")
            commit(staged, self.path / INDEX)
            self._indexed = len(files)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise


def count_episodes(path: Path) -> int:
    """Episodes in a dataset folder; 0 where there is none."""
    return len(_episode_files(path))


def _context_of(path: Path) -> EpisodeContext:
    with _reading(path) as file:
        return read_context(file["data/demo_0"])


def _require_same_features(first: EpisodeContext, new: EpisodeContext) -> None:
    differing = [
        name
        for name in sorted(first.features.keys() | new.features.keys())
        if first.features.get(name) != new.features.get(name)
    ]
    differing += [name for name in ("action", "rate") if getattr(first, name) != getattr(new, name)]
    if differing:
        raise FeatureMismatch(
            f"the new episode does not fit the dataset's others in {', '.join(differing)}; "
            "record into another folder"
        )


def _is_valid(number: int) -> bool:
    return number % _VALID_EVERY == _VALID_EVERY - 1


def _episode_path(dataset: Path, number: int) -> Path:
    return dataset / _EPISODES / f"episode_{number:0{_DIGITS}d}.hdf5"


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("episode_"))


def _episode_files(dataset: Path) -> list[Path]:
    return sorted((dataset / _EPISODES).glob(f"episode_{'[0-9]' * _DIGITS}.hdf5"))


def _demos_in(path: Path) -> tuple[list[tuple[Path, str]], set[int]]:
    """Episodes in one file of robomimic's layout, and which of them are for validation."""
    with _reading(path) as file:
        names = sorted(file.get("data", ()), key=lambda name: int(name.rpartition("_")[2]))
        if not names:
            raise DatasetError("no demonstrations in its group 'data'")
        masked = {name.decode() for name in file["mask/valid"]} if "mask/valid" in file else set()
        valid = {
            index
            for index, name in enumerate(names)
            if (name in masked if "mask/valid" in file else _is_valid(index))
        }
    return [(path, f"data/{name}") for name in names], valid


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[h5py.File]:
    """Open a file that may be damaged or hostile: h5py and NumPy then raise almost anything."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except Exception as error:
        reason = error if isinstance(error, DatasetError) else f"no readable episodes: {error}"
        raise DatasetError(f"{path}: {reason}") from error
