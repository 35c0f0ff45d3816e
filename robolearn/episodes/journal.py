"""The journal of an episode in flight: written frame by frame, readable up to where it was cut off.

A journal is a sequence of records, each with its length and checksum: a head with what holds for
the whole episode, then images and rows, then labels and the end. A row is one frame: all its
vectors, times and flags, and which image of each camera belongs to it. Images come before the row
that refers to them, so a frame is there when its row is. What follows the first record that is cut
off or damaged is not read.

It is no format to keep data in: `read_journal` gives the episode, whose images are copied as they
are encoded into the file where it stays.
"""

from __future__ import annotations

import enum
import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from pydantic import TypeAdapter, ValidationError

from robolearn.episodes.description import Description, json_text
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ACTION
from robolearn.episodes.frames import Array, EpisodeContext, Outcome
from robolearn.episodes.images import CODECS, Codec, CodecName, EncodedImages, Images, Spans
from robolearn.episodes.labels import Labels
from robolearn.errors import DatasetError

_MAGIC = b"robolearn journal 1\n"
_RECORD = struct.Struct("<BBxxII")
"""Kind, camera, length and CRC-32 of what follows."""
UNKNOWN = -1
"""Success of a row where it cannot be told."""


class _Kind(enum.IntEnum):
    HEAD = 0
    IMAGE = 1
    ROW = 2
    LABELS = 3
    END = 4


class RowForm:
    """What one row holds: a structured type of NumPy.

    Args:
        context: of the episode.
    """

    def __init__(self, context: EpisodeContext) -> None:
        self.vectors = [name for name, form in context.features.items() if not form.is_image]
        self.shapes = {n: form.shape for n, form in context.features.items() if form.is_image}
        self.cameras = list(self.shapes)
        action = context.action
        vectors = {name: context.features[name] for name in self.vectors}
        fields: list[Any] = [
            *((f"value {name}", form.dtype, form.shape) for name, form in vectors.items()),
            *((f"timestamp {name}", "f8") for name in (*context.features, ACTION)),
            *((f"image {name}", "i8") for name in self.cameras),
            *((f"lost {name}", "u1") for name in self.cameras),
            ("action", action.dtype, action.shape),
            ("action_asked", action.dtype, action.shape),
            ("reward", "f8"),
            ("success", "i1"),
            ("intervention", "u1"),
            ("time", "f8"),
        ]
        self.dtype = np.dtype(fields)


class JournalWriter:
    """Writes the journal of one episode.

    Args:
        path: of the journal.
        context: of the episode.
        agent: who drives.
        recorded_at: when it begins, ISO 8601.
        images: how images are encoded.

    Raises:
        DatasetError: the file is there: it may hold an episode that nobody has decided on.
        OSError: the disk is full, or the file cannot be made.
    """

    def __init__(
        self, path: Path, context: EpisodeContext, agent: str, recorded_at: str, images: CodecName
    ) -> None:
        self.path = path
        self._codec = CODECS[images]
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError as error:
            raise DatasetError(
                f"{path} holds an episode in flight: keep or discard it first"
            ) from error
        description = Description.of_context(
            context,
            outcome=Outcome(0, None, None, "interrupted"),
            agent=agent,
            recorded_at=recorded_at,
        )
        head = {"images": images, "description": asdict(description)}
        self._write_all([_MAGIC])
        self._write(_Kind.HEAD, 0, json_text(head).encode())

    def image(self, camera: int, image: Array) -> None:
        """Add an image, (H, W, C) uint8, of the camera at this place among the cameras."""
        self._write(_Kind.IMAGE, camera, self._codec.encode(image))

    def row(self, row: bytes) -> None:
        """Add a row, as `RowForm` has it."""
        self._write(_Kind.ROW, 0, row)

    def labels(self, labels: Labels) -> None:
        """Add labels; they take the place of earlier ones."""
        self._write(_Kind.LABELS, 0, json_text(asdict(labels)).encode())

    def end(self, outcome: Outcome) -> None:
        """Say how the episode ended."""
        self._write(_Kind.END, 0, json_text(asdict(outcome)).encode())

    def sync(self) -> None:
        """Have what was written on the disk, so that it outlives a power cut."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _write(self, kind: int, camera: int, payload: bytes) -> None:
        head = _RECORD.pack(kind, camera, len(payload), zlib.crc32(payload))
        self._write_all([head, payload])

    def _write_all(self, parts: list[bytes]) -> None:
        length = sum(map(len, parts))
        written = os.writev(self._descriptor, parts)
        if written < length:  # the disk was full, or a signal came in between
            rest = memoryview(b"".join(parts))[written:]
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]


def read_journal(path: Path) -> Episode | None:
    """The episode that a journal holds, up to its last whole frame. Its images stay in the file.

    Returns:
        None where there is no frame, because it was cut off before the first.

    Raises:
        DatasetError: it is no journal, is damaged before the end of its first frame, or holds what
            no recorder writes.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                if path.stat().st_size < len(_MAGIC):
                    return None
                raise DatasetError("it is no journal of this version")
            return _read(path, file)
    except Exception as error:  # a hostile head makes NumPy and JSON raise what they like
        raise DatasetError(f"{path}: {error}") from error


def _read(path: Path, file: BinaryIO) -> Episode | None:
    records = _Records(file)
    head = next(records, None)
    if head is None:
        if records.damaged:
            raise DatasetError("its head is damaged")
        return None
    if head.kind != _Kind.HEAD:
        raise DatasetError("it does not begin with a head")
    values = json.loads(head.payload)
    description = Description.from_json(json.dumps(values["description"]))
    codec: CodecName = values["images"]
    form = RowForm(description.context)
    rows = bytearray()
    places: list[list[tuple[int, int]]] = [[] for _ in form.cameras]
    labels: dict[str, Any] = {}
    ended: Outcome | None = None
    for record in records:
        match record.kind:
            case _Kind.IMAGE if record.camera < len(places):
                places[record.camera].append((record.offset, record.length))
            case _Kind.ROW if record.length == form.dtype.itemsize:
                rows += record.payload
            case _Kind.LABELS:
                labels |= _validate(Labels, record.payload).given
            case _Kind.END:
                ended = _validate(Outcome, record.payload)
            case kind:
                raise DatasetError(f"a record of kind {kind} does not fit the features")
    if not rows:
        if records.damaged:
            raise DatasetError("it is damaged before the end of its first frame")
        return None
    table = np.frombuffer(bytes(rows), form.dtype)
    outcome = ended or _cut_off(table["success"])
    if (success := labels.pop("success", None)) is not None:
        outcome = replace(outcome, success=success, success_at_end=success)
    description = replace(description, outcome=outcome, **labels)
    return _episode(description, form, table, _images(path, CODECS[codec], form, table, places))


def _episode(
    description: Description, form: RowForm, table: Array, images: Mapping[str, Images]
) -> Episode:
    return Episode(
        context=description.context,
        observations={name: table[f"value {name}"].copy() for name in form.vectors},
        images=images,
        actions=table["action"].copy(),
        actions_asked=table["action_asked"].copy(),
        rewards=np.nan_to_num(table["reward"]).astype(np.float32),
        success=table["success"] > 0,
        interventions=table["intervention"] > 0,
        time=table["time"].copy(),
        timestamps={
            name: table[f"timestamp {name}"].copy()
            for name in (*description.context.features, ACTION)
        },
        lost_images={name: int(table[f"lost {name}"].sum()) for name in form.cameras},
        outcome=description.outcome,
        agent=description.agent,
        operator=description.operator,
        notes=description.notes,
        recorded_at=description.recorded_at,
    )


def _cut_off(success: Array) -> Outcome:
    """What can be said of an episode that nobody ended; ``success`` is a column of the rows."""
    known = bool((success != UNKNOWN).any())
    return Outcome(
        steps=len(success),
        success=bool((success > 0).any()) if known else None,
        success_at_end=bool(success[-1] > 0) if known else None,
        ended="interrupted",
    )


@dataclass(frozen=True)
class _Record:
    kind: int
    camera: int
    offset: int
    length: int
    payload: bytes


class _Records(Iterator[_Record]):
    """Whole records from here on; the first that is not ends it.

    Attributes:
        damaged: it ended with a record that is all there, and not as it was written.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self.damaged = False

    def __next__(self) -> _Record:
        head = self._file.read(_RECORD.size)
        if len(head) < _RECORD.size:
            raise StopIteration
        kind, camera, length, crc32 = _RECORD.unpack(head)
        offset = self._file.tell()
        if offset + length > self._size:
            raise StopIteration
        payload = self._file.read(length)
        if zlib.crc32(payload) != crc32:
            self.damaged = True
            raise StopIteration
        return _Record(kind, camera, offset, length, b"" if kind == _Kind.IMAGE else payload)


def _validate[Value](kind: type[Value], payload: bytes) -> Value:
    try:
        return TypeAdapter(kind).validate_json(payload)
    except ValidationError as error:
        raise DatasetError(f"its {kind.__name__.lower()} are damaged") from error


def _images(
    path: Path, codec: Codec, form: RowForm, table: Array, places: list[list[tuple[int, int]]]
) -> dict[str, Images]:
    images: dict[str, Images] = {}
    for name, found in zip(form.cameras, places, strict=True):
        # Before the first image that could be kept there is none: that one stands in.
        chosen = np.maximum(table[f"image {name}"], 0)
        if chosen.max() >= len(found):
            raise DatasetError(f"a row refers to an image of {name} that is not there")
        spans = np.array(found, np.int64)[chosen]
        shape = form.shapes[name]
        images[name] = EncodedImages(Spans(path, spans[:, 0], spans[:, 1]), codec, shape)
    return images
