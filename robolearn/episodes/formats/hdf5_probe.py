"""Looks through HDF5 files, in a process that may hang or die of it: ``python -m`` this SECONDS.

After so many seconds of the processor it is ended. Paths are read from standard input, each ended
by a zero byte. Of each file all is read but the arrays' numbers, and a line is written: why it
cannot be read, or nothing.
"""

from __future__ import annotations

import resource
import sys

import h5py

_MEMORY = 2 << 30
_GREATEST_CHUNK = 1 << 30


def _look(path: bytes) -> None:
    with h5py.File(path, "r") as file:
        _look_at_attributes(file)
        file.visititems(_look_at)


def _look_at(name: str, found: h5py.Group | h5py.Dataset) -> None:
    try:
        _look_at_attributes(found)
        if isinstance(found, h5py.Dataset):
            if found.chunks is not None:
                _require_reasonable_chunks(found)
                found.id.chunk_iter(lambda chunk: None)
            found.id.get_storage_size()
        else:
            for key in found:
                found.get(key, getlink=True)
    except Exception as error:
        raise ValueError(f"{name}: {error}") from error


def _look_at_attributes(found: h5py.Group | h5py.Dataset) -> None:
    for key in found.attrs:
        _ = found.attrs[key]


def _require_reasonable_chunks(dataset: h5py.Dataset) -> None:
    size = dataset.dtype.itemsize
    for length in dataset.chunks:
        size *= length
    if size > _GREATEST_CHUNK:
        raise ValueError(f"a chunk declares {size} bytes")


if __name__ == "__main__":
    seconds = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for path in sys.stdin.buffer.read().split(b"\0")[:-1]:
        try:
            _look(path)
            reason = ""
        except Exception as error:
            reason = " ".join(str(error).split())
        sys.stdout.write(f"{reason}\n")
        sys.stdout.flush()
