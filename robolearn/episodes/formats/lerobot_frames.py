"""Images of a LeRobot dataset, decoded one after the other when they are asked for."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from robolearn.episodes.formats.lerobot_meta import LeRobotMeta, naming
from robolearn.episodes.frames import Array
from robolearn.episodes.images import StoredSequence
from robolearn.errors import DatasetError

_ROWS_AT_A_TIME = 8


class SequentialImages(StoredSequence):
    """(T, H, W, C) images of a stream that is read forward.

    A slice that begins where the last one ended goes on there; any other begins anew.

    Args:
        shape: (T, H, W, C).
        open_at: gives the frames from a given one on.
    """

    def __init__(self, shape: tuple[int, ...], open_at: Callable[[int], Iterator[Array]]) -> None:
        super().__init__(shape)
        self._open_at = open_at
        self._lock = threading.Lock()
        self._frames: Iterator[Array] | None = None
        self._next = -1

    def _read(self, first: int, stop: int) -> Array:
        images = np.empty((stop - first, *self.shape[1:]), np.uint8)
        if not len(images):
            return images
        with self._lock:
            if self._frames is None or self._next != first:
                self._frames = self._open_at(first)
            stream, self._frames = self._frames, None  # what raises is not gone on with
            for place in range(len(images)):
                try:
                    images[place] = next(stream)
                except StopIteration:
                    raise DatasetError(f"the image of frame {first + place} is missing") from None
            self._next = stop
            self._frames = stream if stop < len(self) else None
        return images


def video_images(
    meta: LeRobotMeta, file: Path, begin: float, shape: tuple[int, ...]
) -> SequentialImages:
    """Images of a part of a video.

    Args:
        meta: of the dataset.
        file: of the video.
        begin: where in it the first frame is, s.
        shape: (T, H, W, C).
    """
    meta.require_inside(file)
    fps = meta.info.fps

    def open_at(first: int) -> Iterator[Array]:
        import av

        # Named here, since a stream may be given up when the modules are gone already.
        errors = (av.FFmpegError, OSError, TypeError, ValueError, MemoryError)
        try:
            # The demuxer is named: others would follow addresses that the file holds.
            with av.open(str(file), format="mp4") as container:
                if not container.streams.video:
                    raise DatasetError(f"{file} holds no video")
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                if (stream.height, stream.width, 3) != shape[1:]:
                    raise DatasetError(
                        f"{file} has frames of {stream.height}x{stream.width}, not {shape[1:]}"
                    )
                unit = stream.time_base or 1
                start = max(round((begin + (first - 0.5) / fps) / unit), 0)
                container.seek(start, backward=True, any_frame=False, stream=stream)
                expected = first
                for frame in container.decode(stream):
                    number = round((float(frame.pts * unit) - begin) * fps)
                    if number < expected:
                        continue
                    if number > expected or expected >= shape[0]:
                        return
                    yield frame.to_ndarray(format="rgb24")
                    expected += 1
        except errors as error:
            raise DatasetError(f"{file} cannot be decoded: {error}") from error

    return SequentialImages(shape, open_at)


def embedded_images(
    meta: LeRobotMeta, file: Path, key: str, row: int, shape: tuple[int, ...]
) -> SequentialImages:
    """Images that a Parquet file holds as PNG or JPEG files.

    Args:
        meta: of the dataset.
        file: that holds them.
        key: their column.
        row: of the first one.
        shape: (T, H, W, C).
    """

    def open_at(first: int) -> Iterator[Array]:
        with meta.open_parquet(file) as parquet:
            begin, groups, skipped = 0, [], 0
            for group in range(parquet.num_row_groups):
                rows = parquet.metadata.row_group(group).num_rows
                if begin + rows <= row + first:
                    skipped = begin + rows
                elif begin < row + shape[0]:
                    groups.append(group)
                begin += rows
            with naming(file):
                batches = parquet.iter_batches(
                    _ROWS_AT_A_TIME, row_groups=groups, columns=[key], use_threads=False
                )
                place = skipped
                for batch in batches:
                    for value in batch.column(0):
                        if row + first <= place < row + shape[0]:
                            yield _decoded(file, value.as_py(), place - row, shape[1:])
                        place += 1

    return SequentialImages(shape, open_at)


def _decoded(file: Path, value: object, frame: int, shape: tuple[int, ...]) -> Array:
    from PIL import Image, UnidentifiedImageError

    data = value.get("bytes") if isinstance(value, dict) else None
    if not isinstance(data, bytes):
        raise DatasetError(f"{file} does not hold the image of frame {frame}")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            # Told before it is decoded: a few bytes may declare gigabytes.
            if (image.height, image.width, 3) != shape:
                raise ValueError(f"it is {image.height}x{image.width}, not {shape}")
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise DatasetError(f"{file}: the image of frame {frame} is damaged: {error}") from error
