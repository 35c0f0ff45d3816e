"""NumPy's ``.npz`` archives where files may be damaged or hostile.

An archive may declare arrays that do not fit into memory, and an array of Python objects is a
pickle, which may run any program. So no size is believed that the file does not have room for, and
a pickle is first looked through and then read by classes of this module, which only keep what they
are given: nothing else can be called.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robolearn.episodes.frames import Array
from robolearn.errors import DatasetError


class NpzFile:
    """Reads one archive as ``numpy.savez`` writes it, which compresses nothing.

    Args:
        path: of the file. Messages are about its content; whoever calls names the file.

    Attributes:
        size: bytes of the file.

    Raises:
        DatasetError: it is cut off or no archive.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self._members = {member.filename: member for member in archive.infolist()}
            self.size = path.stat().st_size
        except _UNREADABLE as error:
            raise DatasetError(f"it is no whole .npz file: {error}") from error

    def length(self, name: str) -> int:
        """Of an array along its first axis, as it is declared: only its beginning is read.

        Raises:
            DatasetError: there is no such array, or it is damaged.
        """
        shape = _header(self._read(name, _HEADER_BYTES), name).shape
        if not shape:
            raise DatasetError(f"{name} is a single value")
        if not 0 <= shape[0] <= self.size:
            raise DatasetError(f"{name} declares {shape[0]} elements in {self.size} bytes")
        return shape[0]

    def numbers(self, name: str) -> Array:
        """An array of numbers or truth values.

        Raises:
            DatasetError: there is none, it is damaged, or it holds anything else.
        """
        return self._array(name, "biuf", "array of numbers")

    def text(self, name: str) -> str:
        """An array that is one text.

        Raises:
            DatasetError: there is none, it is damaged, or it holds anything else.
        """
        found = self._array(name, "U", "text")
        if found.ndim:
            raise DatasetError(f"{name} is no single text")
        return str(found)

    def dicts(self, name: str) -> list[dict[str, Any]]:
        """An array of dicts of arrays of numbers, which NumPy keeps as a pickle.

        Raises:
            DatasetError: there is none, it is damaged, or the pickle holds anything but that.
        """
        data = self._read(name)
        header = _header(data, name)
        if header.dtype.kind != "O":
            raise DatasetError(f"{name} holds no dicts")
        found = _unpickled(data[header.size :], name)
        if len(found) != header.shape[0]:
            raise DatasetError(f"{name} does not hold the list that it declares")
        return found

    def _array(self, name: str, kinds: str, what: str) -> Array:
        data = self._read(name)
        header = _header(data, name)
        if header.dtype.kind not in kinds:
            raise DatasetError(f"{name} is no {what}")
        return _filled(data[header.size :], header, name)

    def _read(self, name: str, at_most: int = -1) -> bytes:
        member = self._members.get(f"{name}.npy")
        if member is None:
            raise DatasetError(f"it has no {name}")
        if member.compress_type != zipfile.ZIP_STORED or member.file_size > self.size:
            raise DatasetError(f"{name} is packed, or larger than the file that it is in")
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(member) as file:
                data = file.read(at_most)
        except _UNREADABLE as error:
            raise DatasetError(f"{name} cannot be read: {error}") from error
        return data


_UNREADABLE = (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError)
_HEADER_BYTES = 4096
_format: Any = np.lib.format  # published without types


@dataclass(frozen=True)
class _Header:
    """What stands before an array: its shape and type, and how many bytes that takes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    size: int


def _header(data: bytes, name: str) -> _Header:
    file = io.BytesIO(data)
    try:
        version = _format.read_magic(file)
        read = {(1, 0): _format.read_array_header_1_0, (2, 0): _format.read_array_header_2_0}
        shape, fortran, dtype = read[version](file)
    except (ValueError, KeyError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise DatasetError(f"{name} is no NumPy array") from error
    return _Header(shape, dtype, fortran, file.tell())


def _filled(data: bytes, header: _Header, name: str) -> Array:
    count = 1
    for size in header.shape:
        count *= size
    # Elements that take no bytes could be as many as there are numbers.
    fits = header.dtype.itemsize and count * header.dtype.itemsize == len(data)
    if min((*header.shape, 0)) < 0 or not fits:
        raise DatasetError(
            f"{name} declares the shape {header.shape} of {header.dtype} and has {len(data)} bytes"
        )
    try:
        if not len(data):
            return np.empty(header.shape, header.dtype)
        flat: Array = np.frombuffer(data, header.dtype)
        return flat.reshape(header.shape, order="F" if header.fortran else "C")
    except (ValueError, OverflowError, MemoryError) as error:
        raise DatasetError(f"{name} cannot have the shape {header.shape}") from error


_PLAIN_OPCODES = frozenset(
    [
        "PROTO",
        "FRAME",
        "STOP",
        "MARK",
        "MEMOIZE",
        "BINPUT",
        "LONG_BINPUT",
        "BINGET",
        "LONG_BINGET",
        "GLOBAL",
        "STACK_GLOBAL",
        "REDUCE",
        "BUILD",
        "NONE",
        "NEWTRUE",
        "NEWFALSE",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG1",
        "BINFLOAT",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINBYTES",
        "SHORT_BINBYTES",
        "EMPTY_TUPLE",
        "TUPLE",
        "TUPLE1",
        "TUPLE2",
        "TUPLE3",
        "EMPTY_LIST",
        "APPEND",
        "APPENDS",
        "EMPTY_DICT",
        "SETITEM",
        "SETITEMS",
    ]
)
"""What NumPy's pickles are made of. Each takes about as much memory as it takes in the file."""


def _unpickled(data: bytes, name: str) -> list[dict[str, Any]]:
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name not in _PLAIN_OPCODES:
                raise DatasetError(f"it holds a pickled {opcode.name}, which is not read")
            if opcode.name.endswith("BINPUT") and int(argument or 0) > len(data):
                raise DatasetError("it is damaged")  # it would take memory up to that place
        steps = _ArraysOnly(io.BytesIO(data)).load().objects()
        # A pickle may hold one dict and name it a million times: it stays one.
        dicts = {
            id(step): {str(key): value.numbers() for key, value in step.items()}
            for step in {id(step): step for step in steps}.values()
        }
        return [dicts[id(step)] for step in steps]
    except Exception as error:  # a pickle that is damaged or hostile raises anything
        reason = error if isinstance(error, DatasetError) else "it is damaged"
        raise DatasetError(f"{name}: {reason}") from error


class _ArraysOnly(pickle.Unpickler):
    """Reads NumPy's arrays as objects that only keep what the pickle says of them."""

    def find_class(self, module: str, name: str, /) -> Any:
        if module in {"numpy._core.multiarray", "numpy.core.multiarray"}:
            if name == "_reconstruct":
                return _Maker(_PickledArray)
        elif module == "numpy":
            if name == "ndarray":
                return None  # what `_reconstruct` is to make: there is nothing else
            if name == "dtype":
                return _Maker(_PickledType)
        raise DatasetError(f"it holds a pickled {module}.{name}, which is not read")


class _Maker:
    """Makes objects of one class, and has nothing that a pickle could change."""

    __slots__ = ("_kind",)

    def __init__(self, kind: type) -> None:
        self._kind = kind

    def __call__(self, *arguments: Any) -> Any:
        return self._kind(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise DatasetError("it is damaged")


class _PickledType:
    """What stands for a ``numpy.dtype``."""

    def __init__(self, name: str, *_: Any) -> None:
        self._name = name
        self._order: Any = "|"

    def __setstate__(self, state: Any) -> None:
        self._order = state[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that it stands for."""
        order = self._order if self._order in {"<", ">"} else ""
        return np.dtype(f"{order}{self._name}")


class _PickledArray:
    """What stands for a ``numpy.ndarray``."""

    def __init__(self, *_: Any) -> None:
        self._state: Any = None

    def __setstate__(self, state: Any) -> None:
        self._state = state

    def objects(self) -> list[Any]:
        """The elements of an array of Python objects."""
        _, _, kind, _, elements = self._state
        if kind.dtype.kind != "O":
            raise DatasetError("it holds no objects")
        return list(elements)

    def numbers(self) -> Array:
        """An array of numbers."""
        _, shape, kind, fortran, data = self._state
        dtype = kind.dtype
        if dtype.kind not in "biuf":
            raise DatasetError(f"it holds an array of {dtype}")
        return _filled(data, _Header(shape, dtype, bool(fortran), 0), "an array")
