"""One HDF5 file that holds many episodes, as robomimic and robosuite write them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np

from robolearn.episodes.dataset import Dataset, DatasetWriter, EpisodeSummary, is_valid
from robolearn.episodes.episode import Episode, require_same_features
from robolearn.episodes.formats.hdf5 import read_context, read_episode, read_summary, write_demo
from robolearn.episodes.formats.safe_hdf5 import (
    has,
    is_being_written,
    member,
    reading,
    require_bounded,
    writing,
)
from robolearn.episodes.frames import EpisodeContext
from robolearn.episodes.images import CodecName
from robolearn.errors import DatasetError, FolderInUse
from robolearn.folders import commit
from robolearn.interrupts import interrupt_held_back

VALID_MASK = "mask/valid"


class Hdf5Dataset(Dataset):
    """Reads a file of robomimic's layout. A dataset folder's index leads to its episodes' files.

    Raises:
        DatasetError: it holds no readable episodes.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with reading(path) as file:
            data = member(file, "data")
            names = sorted(data, key=_number)
            if not names:
                raise DatasetError("no demonstrations in its group 'data'")
            self._places = [_place(path, data, name) for name in names]
            self._numbers = [_number(name) for name in names]
            masked = _masked(file) if has(file, VALID_MASK) else None
            self._valid = {
                number
                for name, number in zip(names, self._numbers, strict=True)
                if (is_valid(number) if masked is None else name in masked)
            }

    def __len__(self) -> int:
        return len(self._places)

    @cached_property
    def summaries(self) -> Sequence[EpisodeSummary]:
        summaries = []
        with ExitStack() as files:
            opened: dict[Path, h5py.File] = {}
            for (path, name), number in zip(self._places, self._numbers, strict=True):
                if path not in opened:
                    files.close()
                    opened = {path: files.enter_context(reading(path))}
                valid = number in self._valid
                summaries.append(read_summary(opened[path], name, number, valid))
        return summaries

    @property
    def context(self) -> EpisodeContext:
        path, name = self._places[0]
        with reading(path) as file:
            return read_context(file, name)

    def episode(self, index: int) -> Episode:
        return read_episode(*self._places[index])


class Hdf5Writer(DatasetWriter):
    """Writes a new file, which appears when it is complete.

    Args:
        path: of a file that does not exist.
        images: how they are encoded; None leaves them as they are, and others without loss.

    Raises:
        FolderInUse: the file exists, or another process is writing it.
    """

    def __init__(self, path: Path, images: CodecName | None = None) -> None:
        super().__init__(path)
        if path.exists():
            raise FolderInUse(f"{path} exists; name a new file")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._images: CodecName | None = images
        self._staged = path.with_name(f".{path.name}.part")
        if is_being_written(self._staged):
            raise FolderInUse(f"another process is writing {path}; wait for it or stop it")
        self._staged.unlink(missing_ok=True)
        self._file = ExitStack()
        self._target = self._file.enter_context(writing(self._staged))
        with interrupt_held_back():
            self._target.file.create_group("data")
        self._first: EpisodeContext | None = None
        self._frames = 0
        self._masks: dict[bool, list[str]] = {False: [], True: []}

    def add(self, episode: Episode, *, valid: bool | None = None) -> int:
        if self._first is None:
            self._first = episode.context
        require_same_features(self._first, episode.context, self.path)
        number = sum(map(len, self._masks.values()))
        name = f"demo_{number}"
        write_demo(self._target, name, episode, self._images)
        self._frames += len(episode)
        self._masks[is_valid(number) if valid is None else valid].append(name)
        return number

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None and self._first is not None:
                write_totals(self._target.file, self._frames, self._masks)
            self._file.close()
            if error is None and self._first is not None:
                commit(self._staged, self.path)
        finally:
            self._staged.unlink(missing_ok=True)


@interrupt_held_back()
def write_totals(file: h5py.File, frames: int, masks: dict[bool, list[str]]) -> None:
    """What robomimic looks up first: the number of frames, and who is in which split."""
    file["data"].attrs["total"] = frames
    file["mask/train"] = np.array(masks[False], dtype="S")
    file[VALID_MASK] = np.array(masks[True], dtype="S")


def _masked(file: h5py.File) -> set[str]:
    mask = member(file, VALID_MASK)
    if not h5py.check_string_dtype(mask.dtype) or mask.ndim != 1:
        raise DatasetError(f"{VALID_MASK} is no list of names")
    require_bounded(mask, VALID_MASK)
    return {name.decode() for name in mask[()]}


def _number(name: str) -> int:
    found = re.search(r"(\d+)$", name)
    if found is None:
        raise DatasetError(f"its group data/{name} has no number")
    return int(found[1])


def _place(path: Path, data: h5py.Group, name: str) -> tuple[Path, str]:
    """File and group of an episode: here, or where an index links to, in the same folder."""
    link = data.get(name, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        target = (path.parent / link.filename).resolve()
        if not target.is_relative_to(path.parent.resolve()):
            raise DatasetError(
                f"data/{name} links to {link.filename}, outside the dataset's folder"
            )
        above, _, inner = link.path.rpartition("/")
        if above.strip("/") != "data":
            raise DatasetError(f"data/{name} links to {link.path}, which is no episode")
        return target, inner
    if not isinstance(link, h5py.HardLink):
        raise DatasetError(f"data/{name} is a link, which is not followed")
    return path, name
