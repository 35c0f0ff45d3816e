"""``episodes.jsonl``: what is known of each episode of a folder, one line an episode.

Adding a line costs the same whatever the number of episodes, and a kill can cut off no more than
the last one, which is then read from the episode's file. A later line about an episode takes the
place of an earlier one: so labels and the split change without touching the recorded files.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from robolearn.episodes.dataset import EpisodeSummary
from robolearn.episodes.description import json_text
from robolearn.episodes.formats.safe_hdf5 import checksum
from robolearn.folders import write_file

type Natural = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Entry:
    """One episode.

    Attributes:
        summary: what is known of it.
        bytes: size of its file.
        crc32: of its file.
    """

    summary: EpisodeSummary
    bytes: Natural
    crc32: Natural

    def to_line(self) -> str:
        """As one line of JSON."""
        size = {"bytes": self.bytes, "crc32": self.crc32}
        return json_text(asdict(self.summary) | size) + "\n"


class FolderIndex:
    """The entries of one folder's ``episodes.jsonl``.

    Args:
        path: of the file. Where there is none, there are no entries; damaged lines are passed over
            and counted in ``damaged``: what they said is in the episodes' files.
        file_of: the episode's file by its number. Where the newest line is about a file that a
            kill kept from taking the place of another, the line about that other one holds.

    Attributes:
        entries: by the episode's number.
        damaged: positions of lines that could not be read, from 1.
    """

    def __init__(self, path: Path, file_of: Callable[[int], Path]) -> None:
        self._path = path
        self.entries: dict[int, Entry] = {}
        self.damaged: list[int] = []
        replaced: dict[int, Entry] = {}
        if not path.is_file():
            return
        for position, line in enumerate(path.read_bytes().splitlines(), start=1):
            try:
                entry = _read(line)
            except (ValueError, RecursionError):  # pydantic's and JSON's errors are ValueErrors
                self.damaged.append(position)
            else:
                number = entry.summary.number
                if number in self.entries and self.entries[number].crc32 != entry.crc32:
                    replaced[number] = self.entries[number]
                self.entries[number] = entry
        for number, before in replaced.items():
            with contextlib.suppress(OSError):  # the file was deleted
                if checksum(file_of(number)) == before.crc32:
                    self.entries[number] = before

    def append(self, entry: Entry) -> None:
        """Add or change one entry. It is on the disk when this returns.

        Raises:
            OSError: the disk is full.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            cut_off = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            line = ("\n" * cut_off + entry.to_line()).encode()
            try:
                written = os.pwrite(descriptor, line, size)
                if written != len(line):
                    os.pwrite(descriptor, line[written:], size + written)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.entries[entry.summary.number] = entry

    def replace(self, entries: Iterable[Entry]) -> None:
        """Write all entries anew; the file is replaced at once.

        Raises:
            OSError: the disk is full; the old file is as it was.
        """
        kept = {entry.summary.number: entry for entry in entries}
        write_file(self._path, "".join(kept[number].to_line() for number in sorted(kept)))
        self.entries = kept
        self.damaged = []


_VALUES = TypeAdapter(dict[str, Any])
_SUMMARY = TypeAdapter(EpisodeSummary)
_SIZES = TypeAdapter(tuple[Natural, Natural])


def _read(line: bytes) -> Entry:
    values = _VALUES.validate_json(line)
    size, crc32 = _SIZES.validate_python((values.pop("bytes", None), values.pop("crc32", None)))
    summary = _SUMMARY.validate_python(values)
    if not 0 <= summary.frames <= size:  # each frame has its times in the file
        raise ValueError(f"a file of {size} bytes has no {summary.frames} frames")
    return Entry(summary, size, crc32)
