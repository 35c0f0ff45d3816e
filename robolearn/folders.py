"""Output folders that are one process's at a time, and files that appear only when complete."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from robolearn.errors import FolderInUse


@contextlib.contextmanager
def claimed(folder: Path, kind: str, marker: str) -> Iterator[None]:
    """Make a folder if it is not there, and keep other processes from claiming it meanwhile.

    Args:
        folder: to write into.
        kind: what the folder is for, for the message.
        marker: name of what a folder of this kind holds.

    Raises:
        FolderInUse: it holds something else, or another process has claimed it.
        OSError: it cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise FolderInUse(f"{folder} is a file; name a folder for the {kind}")
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise FolderInUse(
                f"another process is writing the {kind} {folder}; wait for it or stop it"
            ) from error
        if any(folder.iterdir()) and not (folder / marker).exists():
            raise FolderInUse(f"the folder {folder} is in use and holds no {kind}; name another")
        yield
    finally:
        os.close(lock)


def commit(staged: Path, final: Path) -> None:
    """Give a complete file or folder its name, once what it holds is on the disk.

    Args:
        staged: beside ``final``.
        final: a file of that name is replaced; a folder of that name must not be there.

    Raises:
        OSError: the disk is full, or ``final`` is a folder that is not empty.
    """
    for path in (*staged.rglob("*"), staged):
        _sync(path)
    staged.replace(final)
    _sync(final.parent)


def write_file(path: Path, content: bytes | str) -> None:
    """Write a file, which appears or is replaced only when it is complete.

    Raises:
        OSError: the disk is full, or the file cannot be written.
    """
    staged = path.with_name(f".{path.name}.part")
    try:
        staged.write_bytes(content if isinstance(content, bytes) else content.encode())
        commit(staged, path)
    finally:
        staged.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)
