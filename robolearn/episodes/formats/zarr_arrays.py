"""Arrays of zarr format 2, in a folder or a zip file, that may be damaged or hostile.

zarr itself trusts what it opens: object arrays are unpickled, a chunk's header decides how much
memory is taken, and each chunk costs it 0.7 ms. Here an array's header is checked first, and each
chunk is decoded by the same codecs into memory of the size that the header declares.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numcodecs
import numpy as np

from robolearn.episodes.frames import Array
from robolearn.errors import DatasetError

_HEADER_BYTES = 1 << 20
_CHUNK_BYTES = 256 << 20
_UNSTORED_BYTES = 256 << 20
_UNSTORED_CHUNKS = 1000
_SLACK_BYTES = 1 << 16
_GREATEST_SIZE = 1 << 48

IMAGE_CODECS = ("imagecodecs_jpegxl", "imagecodecs_jpeg2k", "imagecodecs_jpeg")
_BLOCK_CODECS = ("blosc", "zstd", "lz4")
_DEFLATE = {"zlib": zlib.MAX_WBITS, "gzip": zlib.MAX_WBITS | 16}


class Store(Protocol):
    """Files by name, of which none may lie outside."""

    path: Path

    def read(self, key: str, limit: int) -> bytes | None:
        """The bytes of a file; None if there is none.

        Raises:
            DatasetError: it is larger than ``limit`` bytes, or no file of this store.
        """

    def children(self, folder: str) -> list[str]:
        """Names of the folders in a folder, sorted."""


class FolderStore:
    """A folder. Links are not followed.

    Args:
        path: of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._root = os.path.realpath(path)
        self._inside: set[str] = set()

    def read(self, key: str, limit: int) -> bytes | None:
        place = f"{self._root}/{key}"
        self._require_inside(place.rpartition("/")[0])
        try:
            descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise DatasetError(f"{key} cannot be read: {error.strerror}") from error
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise DatasetError(f"{key} is no file")
            _require_limit(key, status.st_size, limit)
            return os.read(descriptor, status.st_size) if status.st_size else b""
        finally:
            os.close(descriptor)

    def children(self, folder: str) -> list[str]:
        place = Path(self._root, folder)
        self._require_inside(str(place))
        if not place.is_dir():
            return []
        return sorted(child.name for child in place.iterdir() if self._is_folder(child))

    def _is_folder(self, child: Path) -> bool:
        if child.is_dir():
            self._require_inside(str(child))
        return child.is_dir()

    def _require_inside(self, folder: str) -> None:
        """Most reads are of few folders: each is looked at once."""
        if folder in self._inside:
            return
        if os.path.realpath(folder) != folder:
            raise DatasetError(f"{folder} is a link; a dataset's links are not followed")
        self._inside.add(folder)


class ZipStore:
    """A zip file. Nothing is ever extracted.

    Args:
        path: of the file.

    Raises:
        DatasetError: it is no zip file, or names files that lie outside.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise DatasetError(f"it is no zip file, or a damaged one: {error}") from error
        self._folders: dict[str, set[str]] = {}
        for name in self._zip.namelist():
            parts = PurePosixPath(name).parts
            if ".." in parts or name.startswith("/"):
                raise DatasetError(f"it names a file that lies outside: {name!r:.80}")
            for depth in range(1, len(parts)):
                self._folders.setdefault("/".join(parts[: depth - 1]), set()).add(parts[depth - 1])

    def read(self, key: str, limit: int) -> bytes | None:
        try:
            entry = self._zip.getinfo(key)
        except KeyError:
            return None
        _require_limit(key, entry.file_size, limit)
        try:
            with self._zip.open(entry) as file:
                data = file.read(entry.file_size)
        except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, EOFError, ValueError) as e:
            raise DatasetError(f"{key} is damaged: {e}") from e
        if len(data) != entry.file_size:
            raise DatasetError(f"{key} is cut off")
        return data

    def children(self, folder: str) -> list[str]:
        return sorted(self._folders.get(folder, ()))


def _require_limit(key: str, size: int, limit: int) -> None:
    if size > limit:
        raise DatasetError(f"{key} has {size} bytes, more than the {limit} that it can need")


class StoredArray:
    """(N, ...) numbers, read some rows at a time. May be read by several threads at once.

    Args:
        store: that it is in.
        name: of its folder there.

    Attributes:
        name: of its folder.
        shape: (N, ...).
        dtype: of its elements, in this machine's byte order.

    Raises:
        DatasetError: it is not there, or is more than numbers; names it.
    """

    def __init__(self, store: Store, name: str) -> None:
        self.name = name
        self._store = store
        header = read_json(store, f"{name}/.zarray")
        try:
            self.shape = _sizes(header["shape"], least=0)
            self.chunks = _sizes(header["chunks"], least=1)
            self._stored = _plain_dtype(header["dtype"])
            self._order = _one_of(header.get("order", "C"), ("C", "F"))
            self._separator = _one_of(header.get("dimension_separator", "."), (".", "/"))
            if header["zarr_format"] != 2 or not 0 < len(self.shape) == len(self.chunks):
                raise ValueError("its format or its chunks")
        except (KeyError, TypeError, ValueError) as error:
            raise DatasetError(f"{name}/.zarray cannot be read: {error}") from error
        if header.get("filters"):
            raise DatasetError(f"{name} is filtered, which is not supported")
        self.dtype = self._stored.newbyteorder("=")
        self._chunk_bytes = math.prod(self.chunks) * self.dtype.itemsize
        if self._chunk_bytes > _CHUNK_BYTES:
            raise DatasetError(f"{name} has chunks of {self._chunk_bytes} bytes, which is too much")
        self._codec = self._open_codec(header.get("compressor"))
        self._fill = self._fill_value(header.get("fill_value"))
        self._last: tuple[tuple[int, ...], Array] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def frame_bytes(self) -> int:
        """Bytes of one row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def rows(self, first: int, stop: int) -> Array:
        """(stop - first, ...) some rows, in memory.

        Raises:
            DatasetError: they are not there, or a chunk is damaged.
        """
        if not 0 <= first <= stop <= len(self):
            raise DatasetError(f"{self.name} has {len(self)} rows, and not {first} to {stop}")
        try:
            found = np.empty((stop - first, *self.shape[1:]), self.dtype)
        except (MemoryError, ValueError) as error:
            raise DatasetError(f"{self.name} does not fit in memory: {self.shape}") from error
        if found.size == 0:
            return found
        strides = self.chunks
        grid = [range(first // strides[0], (stop - 1) // strides[0] + 1)]
        grid += [range(-(-n // size)) for n, size in zip(self.shape[1:], strides[1:], strict=True)]
        missing = 0
        for count, place in enumerate(itertools.product(*grid)):
            corner = [i * size for i, size in zip(place, strides, strict=True)]
            begin = [max(corner[0], first), *corner[1:]]
            ends = [c + size for c, size in zip(corner, strides, strict=True)]
            end = [min(e, n) for e, n in zip(ends, (stop, *self.shape[1:]), strict=True)]
            target = tuple(
                slice(b - origin, e - origin)
                for b, e, origin in zip(begin, end, (first, *(0,) * (len(end) - 1)), strict=True)
            )
            chunk = self._chunk(place)
            if chunk is None:
                missing += 1
                self._require_stored(found.nbytes, missing, count, place)
                found[target] = self._fill
            else:
                source = tuple(
                    slice(b - c, e - c) for b, e, c in zip(begin, end, corner, strict=True)
                )
                found[target] = chunk[source]
        return found

    def _require_stored(self, size: int, missing: int, count: int, place: tuple[int, ...]) -> None:
        """zarr may leave out chunks of zeros; but what is declared and not there takes nothing."""
        if size > _UNSTORED_BYTES or (missing > _UNSTORED_CHUNKS and 2 * missing > count):
            raise DatasetError(f"{self.name} lacks most of what it declares: the chunk {place}")

    def _chunk(self, place: tuple[int, ...]) -> Array | None:
        last = self._last
        if last is not None and last[0] == place:
            return last[1]
        key = f"{self.name}/{self._separator.join(map(str, place))}"
        # No codec here makes a chunk much larger than it is.
        data = self._store.read(key, self._chunk_bytes * 2 + _SLACK_BYTES)
        if data is None:
            return None
        try:
            chunk = self._decoded(data)
        except Exception as error:  # codecs raise whatever they like
            raise DatasetError(f"{key} is damaged: {error}") from error
        if self.chunks[0] > 1:
            self._last = (place, chunk)
        return chunk

    def _decoded(self, data: bytes) -> Array:
        if self._codec is None:
            flat = np.frombuffer(data, self._stored)
        elif isinstance(self._codec, int):
            inflate = zlib.decompressobj(self._codec)
            flat = np.frombuffer(inflate.decompress(data, self._chunk_bytes + 1), self._stored)
        else:
            if self._codec.codec_id == "blosc":
                self._require_whole_blosc(data)
            # Decoded into memory of the declared size: a chunk's own header may declare gigabytes.
            shape = tuple(size for size in self.chunks if size > 1) if self._is_image else (-1,)
            target = np.empty(self.chunks, self._stored).reshape(shape)
            found = self._codec.decode(data, target)
            flat = np.asarray(found).reshape(-1)
            if flat.dtype != self._stored:
                raise ValueError(f"it holds {flat.dtype}, not {self._stored}")
        if flat.size != math.prod(self.chunks):
            raise ValueError(f"it holds {flat.size} elements, not {math.prod(self.chunks)}")
        return flat.reshape(self.chunks, order="F" if self._order == "F" else "C")

    def _require_whole_blosc(self, data: bytes) -> None:
        """numcodecs does not tell Blosc how long the chunk is, which then reads beyond it."""
        if len(data) < 16 or struct.unpack_from("<I4xI", data, 4) != (self._chunk_bytes, len(data)):
            raise ValueError("it is cut off, or of another length")

    def _open_codec(self, config: Any) -> Any:
        if config is None:
            return None
        if not isinstance(config, dict) or not isinstance(name := config.get("id"), str):
            raise DatasetError(f"{self.name}/.zarray: its compressor is {config!r:.40}")
        if name in _DEFLATE:
            return _DEFLATE[name]
        if name not in (*_BLOCK_CODECS, *IMAGE_CODECS):
            raise DatasetError(f"{self.name} is compressed by {name!r:.40}, which is not supported")
        if name in IMAGE_CODECS and self._stored != np.uint8:
            raise DatasetError(f"{self.name} has images of {self._stored}, not uint8")
        register_image_codecs()
        try:
            return numcodecs.get_codec(dict(config))
        except Exception as error:  # codecs raise whatever they like
            raise DatasetError(f"{self.name}/.zarray: its compressor: {error}") from error

    @cached_property
    def _is_image(self) -> bool:
        return getattr(self._codec, "codec_id", "") in IMAGE_CODECS

    def _fill_value(self, value: Any) -> Any:
        try:
            fill = np.array(0 if value is None else value)
            if fill.ndim:
                raise ValueError("it is no single number")
            return fill.astype(self.dtype)[()]
        except (TypeError, ValueError, OverflowError) as error:
            raise DatasetError(f"{self.name}/.zarray has no fill value: {value!r:.40}") from error


def array_names(store: Store, folder: str) -> list[str]:
    """Names of the arrays in a group, sorted."""
    return [
        name
        for name in store.children(folder)
        if store.read(f"{folder}/{name}/.zarray", _HEADER_BYTES) is not None
    ]


def read_json(store: Store, key: str) -> dict[str, Any]:
    """A small file that holds a JSON object.

    Raises:
        DatasetError: there is none; names it.
    """
    data = store.read(key, _HEADER_BYTES)
    if data is None:
        raise DatasetError(f"it has no {key}")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{key} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise DatasetError(f"{key} is no JSON object")
    return value


@cache
def register_image_codecs() -> None:
    """Let numcodecs know the codecs that UMI uses, by the names that imagecodecs gives them."""
    from imagecodecs.numcodecs import Jpeg, Jpeg2k, Jpegxl

    for codec in (Jpeg, Jpeg2k, Jpegxl):
        numcodecs.register_codec(_without_unset(codec))


def _without_unset(codec: type[Any]) -> type[Any]:
    """The codec with only what was set in its description: UMI's own knows fewer settings."""

    def get_config(self: Any) -> dict[str, Any]:
        config = codec.get_config(self)
        return {key: value for key, value in config.items() if value is not None}

    return type(codec.__name__, (codec,), {"get_config": get_config})


def _sizes(values: Any, least: int) -> tuple[int, ...]:
    sizes = tuple(values) if isinstance(values, list) else ()
    if len(sizes) > 8 or not _all_sizes(sizes, least):
        raise ValueError(f"{values!r:.80} are no sizes")
    return sizes


def _all_sizes(values: Iterable[Any], least: int) -> bool:
    return all(type(size) is int and least <= size <= _GREATEST_SIZE for size in values)


def _plain_dtype(name: Any) -> np.dtype[Any]:
    # NumPy would take far more than the format has: lists, whole expressions.
    if not isinstance(name, str) or not re.fullmatch(r"[<>|]?[biuf]\d{1,2}", name):
        raise ValueError(f"elements of type {name!r:.40} are not supported, only numbers")
    return np.dtype(name)


def _one_of(value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"{value!r:.40} is none of {', '.join(known)}")
    return str(value)
