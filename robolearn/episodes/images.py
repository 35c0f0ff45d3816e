"""Camera images: how one frame is encoded, and sequences of frames that are read when asked for.

A codec encodes each frame by itself, so that any frame can be read without its neighbours.
"""

from __future__ import annotations

import operator
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, SupportsIndex

import imagecodecs
import numpy as np

from robolearn.episodes.frames import Array
from robolearn.errors import DatasetError

type CodecName = Literal["raw", "lossless", "jpeg"]

JPEG_QUALITY = 95


class Images(Protocol):
    """(T, H, W, C) uint8 images, in memory or not: a NumPy array is one, too."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, H, W, C)."""

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """Of one element."""

    def __len__(self) -> int:
        """T."""

    def __getitem__(self, frames: slice | int, /) -> Array:
        """(N, H, W, C) the images of these frames, one after the other, or (H, W, C) one of them.

        Raises:
            DatasetError: an image cannot be read or decoded.
            IndexError: there is no such frame, or frames are to be left out between.
        """


class StoredSequence(ABC):
    """Images that are read into memory when they are asked for.

    Args:
        shape: (T, H, W, C).
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, frames: slice | SupportsIndex, /) -> Array:
        if isinstance(frames, slice):
            first, stop, step = frames.indices(len(self))
            if step != 1:
                raise IndexError("images are read one after the other: no step other than 1")
            return self._read(first, max(first, stop))
        frame = operator.index(frames)
        first = frame + len(self) if frame < 0 else frame
        if not 0 <= first < len(self):
            raise IndexError(f"there is no frame {frame}: there are {len(self)}")
        one: Array = self._read(first, first + 1)[0]
        return one

    @abstractmethod
    def _read(self, first: int, stop: int) -> Array:
        """(N, H, W, C) frames ``first`` to ``stop - 1``, all of which there are, in memory.

        Raises:
            DatasetError: an image cannot be read or decoded.
        """


@dataclass(frozen=True)
class Codec:
    """How one image becomes bytes.

    Attributes:
        name: ``raw``: the pixels; ``lossless``: LZF as HDF5 has it, or the pixels where they are
            not made smaller by it; ``jpeg``: JPEG, which loses a little.
        encode: (H, W, C) uint8 → bytes.
        decode: bytes, (H, W, C) → (H, W, C) uint8.
    """

    name: CodecName
    encode: Callable[[Array], bytes]
    decode: Callable[[bytes, tuple[int, ...]], Array]


def _pixels(image: Array) -> bytes:
    return image.tobytes()


def _from_pixels(data: bytes, shape: tuple[int, ...]) -> Array:
    return np.frombuffer(data, np.uint8).reshape(shape)


def _lzf(image: Array) -> bytes:
    pixels = image.tobytes()
    encoded = bytes(imagecodecs.lzf_encode(pixels))
    return encoded if len(encoded) < len(pixels) else pixels


def _from_lzf(data: bytes, shape: tuple[int, ...]) -> Array:
    size = int(np.prod(shape))
    pixels = data if len(data) == size else bytes(imagecodecs.lzf_decode(data, out=size))
    return _from_pixels(pixels, shape)


def _jpeg(image: Array) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(image, level=JPEG_QUALITY))


def _from_jpeg(data: bytes, shape: tuple[int, ...]) -> Array:
    # Decoded into an array of the expected size: a header may declare an image of gigabytes.
    image: Array = imagecodecs.jpeg8_decode(data, out=np.empty(shape, np.uint8))
    return image


CODECS: dict[CodecName, Codec] = {
    "raw": Codec("raw", _pixels, _from_pixels),
    "lossless": Codec("lossless", _lzf, _from_lzf),
    "jpeg": Codec("jpeg", _jpeg, _from_jpeg),
}


@dataclass(frozen=True)
class Spans:
    """Where each frame's bytes are in a file. May be read by several threads at once.

    Args:
        path: of the file, as it is now: another one in its place is not read.
        offsets: (T,) of the first byte.
        sizes: (T,) bytes.
    """

    path: Path
    offsets: Array
    sizes: Array
    _version: tuple[int, int, int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_version", _version_of(self.path.stat()))

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, frame: int) -> bytes:
        # Opened each time: a dataset has more files than a process may hold open.
        size = int(self.sizes[frame])
        with self.path.open("rb", buffering=0) as file:
            if _version_of(os.fstat(file.fileno())) != self._version:
                raise DatasetError(f"{self.path} has changed since it was opened")
            data = os.pread(file.fileno(), size, int(self.offsets[frame]))
        if len(data) != size:
            raise DatasetError(f"{self.path}: frame {frame} is cut off")
        return data


def _version_of(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns


class EncodedImages(StoredSequence):
    """(T, H, W, C) uint8 images that are decoded when they are asked for.

    Args:
        data: (T,) bytes of each frame, in memory or `Spans` of a file.
        codec: that encoded them.
        frame_shape: (H, W, C).
    """

    def __init__(
        self, data: Sequence[bytes] | Spans, codec: Codec, frame_shape: tuple[int, ...]
    ) -> None:
        super().__init__((len(data), *frame_shape))
        self.data = data
        self.codec = codec

    def _read(self, first: int, stop: int) -> Array:
        images = np.empty((stop - first, *self.shape[1:]), np.uint8)
        for place, frame in enumerate(range(first, stop)):
            images[place] = self.frame(frame)
        return images

    def frame(self, frame: int) -> Array:
        """(H, W, C) one image.

        Raises:
            DatasetError: it cannot be decoded.
        """
        try:
            return self.codec.decode(self.data[frame], self.shape[1:])
        except (RuntimeError, ValueError, OSError) as error:
            where = self.data.path if isinstance(self.data, Spans) else "in memory"
            raise DatasetError(
                f"{where}: the image of frame {frame} cannot be decoded: {error}"
            ) from error


class ImageParts(StoredSequence):
    """Some frames of images, or those of several one after the other; nothing is copied.

    Args:
        parts: (images, first, stop): frames ``first`` to ``stop - 1`` of each.
    """

    def __init__(self, parts: Sequence[tuple[Images, int, int]]) -> None:
        length = sum(stop - first for _, first, stop in parts)
        super().__init__((length, *parts[0][0].shape[1:]))
        self._parts = tuple(parts)

    def _read(self, first: int, stop: int) -> Array:
        found = [images[begin:end] for images, begin, end in self.between(first, stop)]
        return np.concatenate(found) if found else np.empty((0, *self.shape[1:]), np.uint8)

    @property
    def first(self) -> Images:
        """What the first frames are of."""
        return self._parts[0][0]

    def between(self, first: int, stop: int) -> Iterator[tuple[Images, int, int]]:
        """The parts that make up frames ``first`` to ``stop - 1``."""
        place = 0
        for images, begin, end in self._parts:
            inside = max(first, place), min(stop, place + end - begin)
            if inside[0] < inside[1]:
                yield images, inside[0] - place + begin, inside[1] - place + begin
            place += end - begin


def codec_of(images: Images) -> Codec:
    """The codec that keeps images as they are: their own, or else one without loss."""
    if isinstance(images, ImageParts):
        return codec_of(images.first)
    return images.codec if isinstance(images, EncodedImages) else CODECS["lossless"]


def encoded_frames(
    images: Images, codec: Codec, first: int = 0, stop: int | None = None
) -> Iterator[bytes]:
    """Bytes of frames ``first`` to ``stop - 1``; those encoded that way already are not decoded."""
    stop = len(images) if stop is None else stop
    if isinstance(images, ImageParts):
        for part, begin, end in images.between(first, stop):
            yield from encoded_frames(part, codec, begin, end)
    elif isinstance(images, EncodedImages) and images.codec == codec:
        yield from (images.data[frame] for frame in range(first, stop))
    else:
        for frame in range(first, stop):
            yield codec.encode(images[frame])
