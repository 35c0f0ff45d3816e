"""Camera images decoded once, into files that are mapped into memory.

::

    FOLDER/<name of the dataset>-<its path>/<state of its files>/<camera>.npy

Each file is NumPy's own, (N, H, W, C) uint8: all frames of all episodes, in their order.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np

from robolearn.episodes.dataset import Dataset
from robolearn.episodes.formats.folder import EPISODES
from robolearn.episodes.frames import Array
from robolearn.episodes.images import EncodedImages, ImageParts, Images
from robolearn.errors import DatasetError
from robolearn.folders import commit

_SLICE = 4 << 20
"""Bytes that are decoded and written at a time."""


class ImageCache:
    """Decoded images of datasets, below one folder.

    What is there is of use as long as no file of the dataset has changed: sizes, inodes and times
    of change are part of its name. Files appear when they are complete, those of an earlier state
    of the same dataset are removed, and of several processes one does the work while the others
    wait.

    Args:
        folder: None is ``robolearn/images`` in the user's cache folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or user_cache() / "robolearn" / "images"

    def open(self, dataset: Dataset, names: Sequence[str]) -> dict[str, Array]:
        """Images of all episodes of a dataset, decoded now unless they are there.

        Args:
            dataset: with its files on the disk.
            names: of the image features.

        Returns:
            (N, H, W, C) uint8 by name, mapped and read-only.

        Raises:
            DatasetError: an image cannot be read, the dataset changes meanwhile, or there is no
                room for the decoded images.
        """
        state = _state_of(dataset.path)
        path = dataset.path.resolve()
        mine = self.folder / f"{path.name}-{_digest(str(path))}"
        folder = mine / state
        frames = sum(summary.frames for summary in dataset.summaries)
        shapes = {name: (frames, *dataset.context.features[name].shape) for name in names}
        found = {name: _mapped(folder, name, shape) for name, shape in shapes.items()}
        if any(images is None for images in found.values()):
            size = sum(int(np.prod(shape)) for shape in shapes.values())
            try:
                with _locked(mine):
                    for old in mine.iterdir():
                        if old.is_dir() and old != folder:
                            shutil.rmtree(old, ignore_errors=True)
                    missing = {
                        name: shape
                        for name, shape in shapes.items()
                        if _mapped(folder, name, shape) is None
                    }
                    _decode(dataset, missing, folder)
            except OSError as error:
                raise DatasetError(
                    f"{mine}: no decoded images of {dataset.path} can be kept there "
                    f"({size / 1e9:.3g} GB): {error.strerror or error}; make room or name another "
                    "folder"
                ) from error
            if _state_of(dataset.path) != state:
                shutil.rmtree(folder, ignore_errors=True)
                raise DatasetError(f"{dataset.path} changed while its images were decoded")
            found = {name: _mapped(folder, name, shape) for name, shape in shapes.items()}
        return {name: _there(images, folder, name) for name, images in found.items()}


def user_cache() -> Path:
    """The folder where programs of this user keep what they can make again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def in_parallel(images: Images) -> bool:
    """Whether several threads may read these images at once, and gain by it."""
    if isinstance(images, ImageParts):
        return all(in_parallel(part) for part, _, _ in images.between(0, len(images)))
    return isinstance(images, EncodedImages | np.ndarray)


def cores() -> int:
    """How many this process may use, and so how many threads decode images."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _decode(dataset: Dataset, shapes: dict[str, tuple[int, ...]], folder: Path) -> None:
    """Write the files of these cameras. They get their names when all are complete."""
    folder.mkdir(exist_ok=True)
    if _room(folder) < sum(int(np.prod(shape)) for shape in shapes.values()):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    staged = {name: folder / f".{name}.npy.part" for name in shapes}
    try:
        with contextlib.ExitStack() as files:
            open_files = {
                name: files.enter_context(path.open("wb")) for name, path in staged.items()
            }
            _fill(dataset, shapes, open_files)
        for name, path in staged.items():
            commit(path, _file(folder, name))
    finally:
        for path in staged.values():
            path.unlink(missing_ok=True)


def _fill(
    dataset: Dataset, shapes: dict[str, tuple[int, ...]], files: Mapping[str, BinaryIO]
) -> None:
    # Written, not mapped: a mapped file on a full disk ends the process by a signal.
    for name, file in files.items():
        header = {"descr": "|u1", "fortran_order": False, "shape": shapes[name]}
        np.lib.format.write_array_header_1_0(file, header)  # type: ignore[no-untyped-call]
        file.flush()
    begin = {name: file.tell() for name, file in files.items()}
    place = 0
    with ThreadPoolExecutor(cores()) as pool:
        pending: deque[Future[None]] = deque()
        try:
            lengths = [summary.frames for summary in dataset.summaries]
            for index, episode in enumerate(dataset.episodes(range(len(lengths)))):
                length = lengths[index]
                for name, (_, *shape) in shapes.items():
                    images = episode.images.get(name)
                    if images is None or images.shape != (length, *shape):
                        raise DatasetError(
                            f"{dataset.path}: episode {index} has another {name} than the first, "
                            f"or not {length} frames of it"
                        )
                    size = int(np.prod(shape))
                    step = max(1, _SLICE // size)
                    for first in range(0, length, step):
                        stop = min(first + step, length)
                        offset = begin[name] + (place + first) * size
                        job = (files[name].fileno(), offset, images, first, stop)
                        if in_parallel(images):
                            pending.append(pool.submit(_write, *job))
                        else:
                            _write(*job)
                        while len(pending) > 2 * cores():
                            pending.popleft().result()
                place += length
            while pending:
                pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _write(descriptor: int, offset: int, images: Images, first: int, stop: int) -> None:
    rest = memoryview(np.ascontiguousarray(images[first:stop])).cast("B")
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written


def _room(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _mapped(folder: Path, name: str, shape: tuple[int, ...]) -> Array | None:
    """What is in the cache; None where it is not there or not what it should be."""
    try:
        images: Array = np.load(_file(folder, name), mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    return images if images.shape == shape and images.dtype == np.uint8 else None


def _there(images: Array | None, folder: Path, name: str) -> Array:
    if images is None:
        raise DatasetError(f"{_file(folder, name)} was removed while it was opened")
    return images


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"


def _state_of(path: Path) -> str:
    """Changes with any change of the dataset's files.

    Raises:
        DatasetError: there are none.
    """
    # An index in robomimic's layout leads to files that lie in the folder beside it.
    roots = [path] if path.is_dir() else [path, path.parent / EPISODES]
    try:
        files = [(path, path.stat())]
        files += [(file, file.stat()) for root in roots for file in sorted(root.rglob("*"))]
    except OSError as error:
        raise DatasetError(
            f"{path}: the images of what is not on the disk cannot be cached: {error}"
        ) from error
    return _digest(
        json.dumps(
            [
                [str(file), has.st_size, has.st_ino, has.st_mtime_ns, has.st_ctime_ns]
                for file, has in files
                if not stat.S_ISDIR(has.st_mode)
            ]
        )
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait until no other process is at work in a folder, which is made, and keep it."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
