"""HDF5 where files may be damaged or hostile, and disks may be full.

The HDF5 library trusts what it reads and what it writes to: a flipped bit can make it loop or ask
for all memory, a link can lead it to any file, and a write that fails ends the process. So

- a file is looked through in a process of its own, with bounded time and memory, before this one
  opens it, unless this one wrote it (`reading`);
- links are followed by name, and none that leaves the file (`member`);
- it is written through an object that keeps a failure to itself until HDF5 has finished
  (`writing`).
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import io
import math
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Buffer, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py

from robolearn.episodes.frames import Array
from robolearn.errors import DatasetError
from robolearn.interrupts import interrupt_held_back

# -P: not from the folder in which the user happens to be.
PROBE = [sys.executable, "-P", "-m", "robolearn.episodes.formats.hdf5_probe"]
_PROBE_SECONDS = 20
"""Of the processor: on a busy machine a sound file takes long, and is no worse for it."""
_PROBE_BYTES_A_SECOND = 50e6
_PATIENCE = 30
"""Times as long as that it may take in all."""
_LEAST_LIMIT = 64 << 20
_PROBED_AT_ONCE = 256
_GREATEST_COMPRESSION = 1100
"""Deflate makes nothing smaller than by a factor of 1,032."""


@contextlib.contextmanager
def reading(path: Path, crc32: int | None = None) -> Iterator[h5py.File]:
    """Open a file that may be damaged or hostile.

    Args:
        path: of the file.
        crc32: of its bytes when it was written, where that is known.

    Raises:
        DatasetError: it is not as it was written, or cannot be read; whatever h5py raises while it
            is open becomes this, too. Names the file.
    """
    try:
        status = path.stat()
        version = (status.st_size, status.st_mtime_ns)
        if crc32 is not None and _crc32_of(path, version) != crc32:
            raise DatasetError(
                "it was changed or damaged since it was recorded: its checksum differs "
                "(if that was meant, `robolearn edit DATASET accept` takes it as it is)"
            )
        _require_harmless(path)  # a checksum that came with the file proves nothing
        with h5py.File(path, "r") as file:
            yield file
    except Exception as error:
        reason = error if isinstance(error, DatasetError) else f"no readable episodes: {error}"
        raise DatasetError(f"{path}: {reason}") from error


def checksum(path: Path) -> int:
    """CRC-32 of a file's bytes.

    Raises:
        OSError: it cannot be read.
    """
    crc = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            crc = zlib.crc32(block, crc)
    return crc


@functools.lru_cache(maxsize=16384)
def _crc32_of(path: Path, version: tuple[int, int]) -> int:  # noqa: ARG001  keys the cache
    return checksum(path)


def look_through(paths: Sequence[Path]) -> None:
    """Look through files all but their numbers, in a process that may hang or die of it.

    What it finds is remembered; `reading` does this for the one file that it opens, which takes a
    tenth of a second each time. A file that is not there is passed over.
    """
    waiting = [key for path in paths if (key := _key(path)) and key not in _looked_at]
    while waiting:
        told = _probe(waiting[:_PROBED_AT_ONCE])
        _looked_at.update(zip(waiting, told, strict=False))
        waiting = waiting[len(told) :]


def _probe(files: Sequence[_Key]) -> list[str]:
    """What is wrong with each of the first of these files, at least with one."""
    size = sum(size for _, size, _ in files)
    seconds = math.ceil(_PROBE_SECONDS + size / _PROBE_BYTES_A_SECOND)
    names = "".join(f"{path.absolute()}\0" for path, _, _ in files)
    try:
        done = subprocess.run(
            [*PROBE, str(seconds)],
            input=os.fsencode(names),
            capture_output=True,
            check=False,
            timeout=_PATIENCE * seconds,
        )
        out_of_time = done.returncode in (-signal.SIGXCPU, -signal.SIGKILL)
        output = done.stdout
        reason = "HDF5 comes to no end with it" if out_of_time else "HDF5 dies of it"
    except subprocess.TimeoutExpired as expired:
        output, reason = expired.stdout or b"", "HDF5 comes to no end with it"
    told = output.decode(errors="replace").splitlines()[: len(files)]
    if len(told) < len(files):
        told.append(f"it is damaged: {reason}")
    return told


def trust(path: Path) -> None:
    """Have a file that this process has just written not looked through."""
    if key := _key(path):
        _looked_at[key] = ""


type _Key = tuple[Path, int, int]

_looked_at: dict[_Key, str] = {}
"""What is wrong with a file of this size and time, empty where nothing is."""


def _key(path: Path) -> _Key | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return path, status.st_size, status.st_mtime_ns


def _require_harmless(path: Path) -> None:
    look_through([path])
    if (key := _key(path)) and (reason := _looked_at.get(key)):
        raise DatasetError(f"no readable episodes: {reason}")


def member(group: h5py.Group, key: str) -> Any:
    """The group or dataset below a group, by names with slashes.

    Raises:
        DatasetError: there is none, or it lies outside the file.
    """
    found: Any = group
    for name in key.split("/"):
        link = found.get(name, getlink=True) if isinstance(found, h5py.Group) else None
        if link is None:
            raise DatasetError(f"{key} is missing")
        if not isinstance(link, h5py.HardLink):
            raise DatasetError(f"{key} is a link, which is not followed")
        found = found[name]
    if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
        raise DatasetError(f"{key} is kept in another file, which is not read")
    return found


def has(group: h5py.Group, key: str) -> bool:
    """Whether `member` would find something of that name, or refuse it as a link."""
    above, _, name = key.rpartition("/")
    if above:
        return has(group, above) and name in member(group, above)
    return key in group


def array(group: h5py.Group, key: str) -> Array:
    """A whole dataset of numbers.

    Raises:
        DatasetError: there is none, it holds no numbers, or declares more than the file can hold.
    """
    dataset = member(group, key)
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "biuf":
        raise DatasetError(f"{key} is no array of numbers")
    require_bounded(dataset, key)
    values: Array = dataset[()]
    return values


def require_bounded(dataset: h5py.Dataset, key: str) -> None:
    """Refuse a declared size that what is stored cannot fill.

    Raises:
        DatasetError: it is that large.
    """
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > max(_LEAST_LIMIT, _GREATEST_COMPRESSION * stored):
        raise DatasetError(f"{key} declares {dataset.nbytes} bytes where {stored} are stored")


class WritableHdf5:
    """An HDF5 file that is being written.

    Attributes:
        file: as h5py has it.
    """

    def __init__(self, target: _WritesNeverFail) -> None:
        self._target = target
        self.file = h5py.File(target, "w", libver="latest", rdcc_nbytes=0)

    def check(self) -> None:
        """Call it now and then, while much is written.

        Raises:
            OSError: something could not be written, because the disk is full for example.
        """
        if self._target.failure is not None:
            raise self._target.failure


def is_being_written(path: Path) -> bool:
    """Whether a process is writing this file by `writing`; else it was cut off, or is not there."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


@contextlib.contextmanager
def writing(path: Path) -> Iterator[WritableHdf5]:
    """Write a new HDF5 file.

    Whoever calls h5py in the block holds Ctrl-C back (`interrupt_held_back`): raised in what HDF5
    calls, it leaves HDF5 half done, or is lost.

    Raises:
        OSError: the disk is full, or the file is there already.
    """
    with path.open("xb+", buffering=0) as raw:
        fcntl.flock(raw, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.ExitStack() as opened:
            with interrupt_held_back():
                target = WritableHdf5(_WritesNeverFail(raw.fileno()))
                opened.callback(interrupt_held_back()(target.file.close))
            yield target
        target.check()


class _WritesNeverFail(io.RawIOBase):
    """A file for HDF5, which ends the process with a segmentation fault when a write fails.

    What is written after a failure is kept in memory, so that HDF5 finds it again and can close.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._place = 0
        self._kept: list[tuple[int, bytes]] = []
        self.failure: OSError | None = None

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size()}[whence]
        self._place = begin + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def _size(self) -> int:
        ends = [place + len(data) for place, data in self._kept]
        return max([os.fstat(self._descriptor).st_size, *ends])

    def write(self, data: Buffer, /) -> int:
        view = memoryview(data).cast("B")
        done = 0
        if self.failure is None:
            try:
                while done < len(view):
                    done += os.pwrite(self._descriptor, view[done:], self._place + done)
            except OSError as error:
                self.failure = error
        if done < len(view):
            self._kept.append((self._place, bytes(view)))
        self._place += len(view)
        return len(view)

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        first, stop = self._place, self._place + len(view)
        found = os.pread(self._descriptor, len(view), first)
        view[: len(found)] = found
        view[len(found) :] = bytes(len(view) - len(found))
        for place, data in self._kept:
            begin, end = max(first, place), min(stop, place + len(data))
            if begin < end:
                view[begin - first : end - first] = data[begin - place : end - place]
        self._place = stop
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        length = self._place if size is None else size
        if self.failure is None:
            try:
                os.truncate(self._descriptor, length)
            except OSError as error:
                self.failure = error
        return length
