"""Arrays of zarr format 2 that grow row by row, written by zarr."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numcodecs
import numpy as np

from robolearn.episodes.formats.zarr_arrays import (
    FolderStore,
    StoredArray,
    array_names,
    register_image_codecs,
)
from robolearn.episodes.frames import Array
from robolearn.episodes.images import Images
from robolearn.errors import DatasetError
from robolearn.folders import write_file

if TYPE_CHECKING:
    import zarr

type ReplayImages = Literal["lossless", "raw", "jpegxl", "jpeg2k"]

_CHUNK_BYTES = 1 << 17
_ROWS_A_CHUNK = 4096
_SLICE_BYTES = 16 << 20
_SLICE_FRAMES = 32
_ENDS_A_CHUNK = 4096


class GrowingArrays:
    """Arrays in the groups of a folder. Chunks are small, so that little is written twice.

    Args:
        folder: of the root group, which is made if it is not there.
        groups: below it, which hold all arrays.

    Raises:
        DatasetError: an array is more than numbers, or zarr cannot open the folder.
    """

    def __init__(self, folder: Path, groups: Sequence[str]) -> None:
        import zarr

        register_image_codecs()
        self._folder = folder
        store = FolderStore(folder)
        for group in groups:
            for name in array_names(store, group):
                StoredArray(store, f"{group}/{name}")  # zarr makes any codec that is named there
        self._arrays: dict[str, Any] = {}
        try:
            # What is consolidated elsewhere was not looked at.
            self._root: zarr.Group = zarr.open_group(
                str(folder), mode="a", zarr_format=2, use_consolidated=False
            )
            for group in groups:
                for key, array in self._root.require_group(group).arrays():
                    self._arrays[f"{group}/{key}"] = array.with_config(_CONFIG)
        except OSError:
            raise
        except Exception as error:  # zarr raises whatever it likes of files that are damaged
            raise DatasetError(f"zarr cannot open it: {error}") from error

    def __contains__(self, key: str) -> bool:
        return key in self._arrays

    @property
    def names(self) -> list[str]:
        """Of all arrays: ``group/name``."""
        return list(self._arrays)

    def create(self, key: str, frame_shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """An array without rows, compressed as Diffusion Policy compresses what it saves."""
        frame_bytes = max(1, dtype.itemsize * int(np.prod(frame_shape)))
        rows = max(1, min(_ROWS_A_CHUNK, _CHUNK_BYTES // frame_bytes))
        self._create(key, frame_shape, dtype, _blosc(5), rows)

    def create_images(self, key: str, frame_shape: tuple[int, ...], images: ReplayImages) -> None:
        """An array without rows, of uint8 images, one a chunk."""
        self._create(key, frame_shape, np.dtype(np.uint8), _image_codec(images), 1)

    def create_ends(self, key: str) -> None:
        """An array for `append_end`."""
        self._create(key, (), np.dtype("<i8"), None, _ENDS_A_CHUNK)

    def delete(self, key: str) -> None:
        """Remove an array."""
        del self._arrays[key]
        del self._root[key]

    def cut(self, key: str, rows: int) -> None:
        """Drop the rows from ``rows`` on."""
        if self._arrays[key].shape[0] != rows:
            self._resize(key, rows)

    def rows(self, key: str, first: int, stop: int) -> Array:
        """Some rows, in memory."""
        return np.asarray(self._arrays[key][first:stop])

    def write(self, key: str, begin: int, values: Array) -> None:
        """Rows from ``begin`` on; what was there is left over from an episode that is not whole.

        Raises:
            DatasetError: ``values`` are of a type that the array cannot hold without loss, or
                cannot be encoded.
            OSError: the disk is full.
        """
        array = self._arrays[key]
        exact = values.astype(array.dtype)
        if values.dtype != array.dtype and not np.array_equal(exact, values):
            raise DatasetError(f"{key} of {values.dtype} cannot be kept as {array.dtype} as before")
        self._resize(key, begin + len(values))
        if len(values):
            self._put(key, begin, exact)

    def write_images(self, key: str, begin: int, images: Images) -> None:
        """Frames from row ``begin`` on; a few of them are in memory at a time.

        Raises:
            DatasetError: they cannot be encoded.
            OSError: the disk is full.
        """
        array = self._arrays[key]
        self._resize(key, begin + len(images))
        frame_bytes = int(np.prod(array.shape[1:]))
        size = max(1, min(_SLICE_FRAMES, _SLICE_BYTES // frame_bytes))
        for first in range(0, len(images), size):
            values = images[first : first + size]
            self._put(key, begin + first, values)

    def append_end(self, key: str, ends: list[int], end: int) -> None:
        """First the number, then the array's length, each by a rename: never half of it.

        Args:
            key: of an array made by `create_ends`.
            ends: what it holds.
            end: what is appended.

        Raises:
            OSError: the disk is full.
        """
        chunk, place = divmod(len(ends), _ENDS_A_CHUNK)
        values = np.zeros(_ENDS_A_CHUNK, "<i8")
        values[:place] = ends[len(ends) - place :]
        values[place] = end
        write_file(self._folder / key / str(chunk), values.tobytes())
        self._resize(key, len(ends) + 1)

    def takes_ends(self, key: str) -> bool:
        """Whether an array is as `create_ends` makes it."""
        array = self._arrays[key]
        return array.chunks == (_ENDS_A_CHUNK,) and not array.compressors

    def _put(self, key: str, begin: int, values: Array) -> None:
        try:
            self._arrays[key][begin : begin + len(values)] = values
        except (TypeError, ValueError, RuntimeError) as error:  # a codec's settings may be any
            raise DatasetError(f"{key} cannot be encoded: {error}") from error

    def _resize(self, key: str, rows: int) -> None:
        array = self._arrays[key]
        array.resize((rows, *array.shape[1:]))

    def _create(
        self,
        key: str,
        frame_shape: tuple[int, ...],
        dtype: np.dtype[Any],
        compressor: Any,
        rows: int,
    ) -> None:
        self._arrays[key] = self._root.create_array(
            key,
            shape=(0, *frame_shape),
            chunks=(rows, *frame_shape),
            dtype=dtype,
            compressors=compressor,
            fill_value=0,
            config=_CONFIG,
        )


_CONFIG: Any = {"write_empty_chunks": True}
"""So that what is not there is missing, and not a black image."""


def _blosc(level: int) -> Any:
    return numcodecs.Blosc("zstd", clevel=level, shuffle=numcodecs.Blosc.BITSHUFFLE)


def _image_codec(images: ReplayImages) -> Any:
    match images:
        case "raw":
            return None
        case "lossless":
            return _blosc(3)  # level 5 takes twice the time to make 2 % less of an image
        case "jpegxl":
            settings = {"level": 99, "effort": 3, "lossless": False, "numthreads": 1}
            return numcodecs.get_codec({"id": "imagecodecs_jpegxl", **settings})
        case "jpeg2k":
            return numcodecs.get_codec({"id": "imagecodecs_jpeg2k", "level": 50, "numthreads": 1})
