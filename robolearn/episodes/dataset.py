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
import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal

import h5py
import numpy as np

from robolearn.episodes.episode import Episode
from robolearn.episodes.frames import EpisodeContext
from robolearn.episodes.hdf5 import read_context, read_episode, write_episode
from robolearn.errors import DatasetError, FolderInUse

type Split = Literal["train", "valid", "all"]

INDEX = "index.hdf5"
_EPISODES = "episodes"
_VALID_EVERY = 10
"""Each tenth episode is kept for validation; appending episodes never moves one to the other side."""


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
            self._valid = {index for index in range(len(files)) if _is_valid(index)}
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
            try:
                return read_context(demo)
            except (KeyError, ValueError, OSError) as error:
                raise DatasetError(f"{self._demos[0][0]}: no readable episode: {error}") from error

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
        with _open(path) as file:
            if name not in file:
                raise DatasetError(f"{path}: {name} is missing")
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
        if path.exists() and not path.is_dir():
            raise FolderInUse(f"{path} is a file; name a folder for the dataset")
        episodes = path / _EPISODES
        if path.is_dir() and any(path.iterdir()) and not episodes.is_dir():
            raise FolderInUse(f"{path} holds something that is no dataset; name another folder")
        episodes.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(episodes, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise FolderInUse(f"{path} is being written by another process; wait for it or stop it") from error
        for unfinished in episodes.glob(".*.part"):
            unfinished.unlink()
        self._count = len(_episode_files(path))
        self._write_index()

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._lock)

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
        """
        number = self._count
        _sync(staged)
        staged.rename(_episode_path(self.path, number))
        _sync(self.path / _EPISODES)
        self._count += 1
        self._write_index()
        return number

    def _write_index(self) -> None:
        files = _episode_files(self.path)
        if not files:
            return
        staged = self.path / f".{INDEX}.part"
        staged.unlink(missing_ok=True)
        try:
            with h5py.File(staged, "x", libver="latest") as index:
                data = index.create_group("data")
                total = 0
                names = [f"demo_{number}" for number in range(len(files))]
                for number, path in enumerate(files):
                    with _open(path) as file:
                        total += int(file["data"].attrs["total"])
                        if number == 0:
                            data.attrs["env_args"] = file["data"].attrs["env_args"]
                    data[names[number]] = h5py.ExternalLink(f"{_EPISODES}/{path.name}", "data/demo_0")
                data.attrs["total"] = total
                for side, valid in (("train", False), ("valid", True)):
                    chosen = [name for number, name in enumerate(names) if _is_valid(number) == valid]
                    index[f"mask/{side}"] = np.array(chosen, dtype="S")
            _sync(staged)
            staged.rename(self.path / INDEX)
            _sync(self.path)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise


def _is_valid(number: int) -> bool:
    return number % _VALID_EVERY == _VALID_EVERY - 1


def _episode_path(dataset: Path, number: int) -> Path:
    return dataset / _EPISODES / f"episode_{number:06d}.hdf5"


def _episode_files(dataset: Path) -> list[Path]:
    return sorted((dataset / _EPISODES).glob("episode_*.hdf5"))


def _demos_in(path: Path) -> tuple[list[tuple[Path, str]], set[int]]:
    """Episodes in one file of robomimic's layout, and which of them are for validation."""
    with _open(path) as file:
        names = sorted(file.get("data", ()), key=lambda name: int(name.rpartition("_")[2]))
        if not names:
            raise DatasetError(f"{path}: no demonstrations in its group 'data'")
        masked = {name.decode() for name in file["mask/valid"]} if "mask/valid" in file else set()
        valid = {
            index
            for index, name in enumerate(names)
            if (name in masked if "mask/valid" in file else _is_valid(index))
        }
    return [(path, f"data/{name}") for name in names], valid


@contextlib.contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise DatasetError(f"{path}: no readable HDF5 file: {error}") from error
    with file:
        yield file


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)
