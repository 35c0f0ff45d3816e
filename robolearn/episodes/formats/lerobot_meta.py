"""What the ``meta`` folder of a LeRobot v3 dataset says, and where the frames are.

LeRobot's own reader is not used for this: it asks the hub where a file is missing, copies all
frames to its cache before it gives the first, and takes seconds to be imported.
"""

from __future__ import annotations

import json
import math
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, TypeAdapter, ValidationError

from robolearn.episodes.features import Feature
from robolearn.episodes.frames import Array
from robolearn.errors import DatasetError

DESCRIPTIONS = "meta/robolearn.parquet"
"""What LeRobot has no place for: one row an episode."""

_JSON_BYTES = 64 << 20
_GREATEST_SIZE = 1 << 24
_FRAME_ELEMENTS = 1 << 27
_NUMBERS = {"bool", "float16", "float32", "float64"} | {
    f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)
}
_PLACES = {"chunk_index", "file_index", "video_key"}

type _Size = Annotated[int, Field(ge=1, le=_GREATEST_SIZE)]


@dataclass(frozen=True)
class LeRobotFeature:
    """One feature as ``info.json`` has it."""

    dtype: str
    shape: tuple[_Size, ...] = ()
    names: Any = None
    info: dict[str, Any] | None = None
    video_info: dict[str, Any] | None = None

    @property
    def is_image(self) -> bool:
        return self.dtype in {"image", "video"}

    @property
    def is_depth(self) -> bool:
        """A depth map, which LeRobot keeps as an image of other numbers."""
        flags = {**(self.video_info or {}), **(self.info or {})}
        return bool(flags.get("is_depth_map") or flags.get("video.is_depth_map"))

    @property
    def feature(self) -> Feature | None:
        """Ours; None where it is of no numbers, or a depth map."""
        if self.is_depth or (self.is_image and len(self.shape) != 3):
            return None
        if math.prod(self.shape) > _FRAME_ELEMENTS:
            raise DatasetError(f"meta/info.json: a frame of shape {self.shape} is too large")
        if self.is_image:
            return Feature("uint8", self._height_first)
        if self.dtype not in _NUMBERS:
            return None
        return Feature(self.dtype, self.shape, self._element_names)

    @property
    def _height_first(self) -> tuple[int, ...]:
        if isinstance(self.names, list) and self.names[:1] in (["channels"], ["channel"]):
            return (*self.shape[1:], self.shape[0])
        return self.shape

    @property
    def _element_names(self) -> tuple[str, ...] | None:
        names = self.names
        if isinstance(names, dict) and len(names) == 1:
            (names,) = names.values()
        if not isinstance(names, list) or self.shape != (len(names),):
            return None
        return tuple(names) if all(isinstance(name, str) for name in names) else None


@dataclass(frozen=True)
class LeRobotInfo:
    """``meta/info.json``."""

    codebase_version: str
    fps: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    features: dict[str, LeRobotFeature]
    data_path: str = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
    video_path: str | None = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"


@dataclass(frozen=True)
class LeRobotEpisode:
    """A row of ``meta/episodes``.

    Attributes:
        index: LeRobot's ``episode_index``.
        length: frames.
        task: the first of its tasks, in words.
        data: path of the file that holds its frames.
        videos: path of the file of each camera, and where in it the episode begins, s.
    """

    index: int
    length: int
    task: str
    data: Path
    videos: Mapping[str, tuple[Path, float]] = field(default_factory=dict)


class LeRobotMeta:
    """Reads the ``meta`` folder.

    Args:
        path: of the dataset's folder.

    Raises:
        DatasetError: it is of another version, or damaged; names the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._root = path.resolve()
        self.info = self._read_info()

    @cached_property
    def episodes(self) -> Sequence[LeRobotEpisode]:
        """All of them, in their order.

        Raises:
            DatasetError: a file is missing or damaged; names it.
        """
        cameras = [key for key, feature in self.info.features.items() if feature.dtype == "video"]
        columns = ["episode_index", "length", "tasks", "data/chunk_index", "data/file_index"]
        parts = ("chunk_index", "file_index", "from_timestamp")
        columns += [f"videos/{camera}/{part}" for camera in cameras for part in parts]
        rows: list[dict[str, Any]] = []
        for file in sorted((self.path / "meta" / "episodes").glob("*/*.parquet")):
            rows += self.table(file, columns).to_pylist()
        episodes = [self._episode(row, cameras) for row in rows]
        episodes.sort(key=lambda episode: episode.index)
        if len({episode.index for episode in episodes}) != len(episodes):
            raise DatasetError(f"{self.path}/meta/episodes names an episode twice")
        return episodes

    @cached_property
    def descriptions(self) -> pa.Table | None:
        """What robolearn wrote beside: ``episode_index``, ``length``, ``valid``, ``description``.

        Raises:
            DatasetError: it is damaged, or not of these episodes.
        """
        file = self.path / DESCRIPTIONS
        if not file.exists():
            return None
        columns = ["episode_index", "length", "valid", "description"]
        table = self.table(file, columns)
        lengths = [(episode.index, episode.length) for episode in self.episodes]
        described = zip(
            table["episode_index"].to_pylist(), table["length"].to_pylist(), strict=True
        )
        if list(described) != lengths:
            raise DatasetError(
                f"{file} is not of these episodes: another program changed them; "
                f"delete it to read them without what it says"
            )
        return table

    def limits(self, key: str, size: int) -> tuple[Array, Array] | None:
        """(size,) least and greatest values of a feature, where ``stats.json`` has them."""
        file = self.path / "meta" / "stats.json"
        stats = self._json(file).get(key) if file.exists() else None
        if not isinstance(stats, dict):
            return None
        try:
            low, high = (np.array(stats[name], np.float64).reshape(-1) for name in ("min", "max"))
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        fits = low.shape == high.shape == (size,) and np.isfinite([low, high]).all()
        return (low, high) if fits else None

    def table(self, file: Path, columns: Sequence[str]) -> pa.Table:
        """Some columns of a small Parquet file.

        Raises:
            DatasetError: it cannot be read, or lacks one of them; names it.
        """
        with self.open_parquet(file) as parquet:
            missing = set(columns) - set(parquet.schema_arrow.names)
            if missing:
                raise DatasetError(f"{file} has no column {min(missing)}")
            with naming(file):
                return parquet.read(columns=list(columns), use_threads=False)

    def open_parquet(self, file: Path) -> pq.ParquetFile:
        """A Parquet file of this dataset.

        Raises:
            DatasetError: it is missing, lies elsewhere or is damaged; names it.
        """
        self.require_inside(file)
        with naming(file):
            return pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 16)

    def require_inside(self, file: Path) -> None:
        """Raise unless it is a file of this dataset; the hub's cache links to its blobs."""
        place = file.resolve()
        if not place.is_relative_to(self._root) and not place.is_relative_to(self._blobs):
            raise DatasetError(f"{file} lies outside of the dataset")
        if not place.is_file():
            raise DatasetError(f"{file} is missing; download the dataset again")

    @property
    def _blobs(self) -> Path:
        in_cache = self._root.parent.name == "snapshots"
        return self._root.parent.parent / "blobs" if in_cache else self._root

    def _read_info(self) -> LeRobotInfo:
        file = self.path / "meta" / "info.json"
        values = self._json(file)
        version = str(values.get("codebase_version", ""))[:20]
        if not re.fullmatch(r"v3\.\d+", version):
            advice = (
                "; convert it: python -m lerobot.scripts.convert_dataset_v21_to_v30 --repo-id NAME"
                if version.startswith("v2")
                else ""
            )
            raise DatasetError(f"{file}: LeRobot's version {version!r} is not v3{advice}")
        try:
            info = TypeAdapter(LeRobotInfo).validate_python(values)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise DatasetError(f"{file}: {place}: {first['msg']}") from error
        for template in (info.data_path, info.video_path or ""):
            _require_template(file, template)
        return info

    def _json(self, file: Path) -> dict[str, Any]:
        self.require_inside(file)
        if file.stat().st_size > _JSON_BYTES:
            raise DatasetError(f"{file} is too large")
        try:
            values = json.loads(file.read_bytes())
        except (ValueError, RecursionError) as error:
            raise DatasetError(f"{file} is no JSON: {error}") from error
        if not isinstance(values, dict):
            raise DatasetError(f"{file} is no JSON object")
        return values

    def _episode(self, row: dict[str, Any], cameras: Sequence[str]) -> LeRobotEpisode:
        try:
            index, length = int(row["episode_index"]), int(row["length"])
            tasks = row["tasks"] or [""]
            data = self.info.data_path.format(
                chunk_index=int(row["data/chunk_index"]), file_index=int(row["data/file_index"])
            )
            videos = {}
            for camera in cameras:
                place = (self.info.video_path or "").format(
                    video_key=camera,
                    chunk_index=int(row[f"videos/{camera}/chunk_index"]),
                    file_index=int(row[f"videos/{camera}/file_index"]),
                )
                videos[camera] = self.path / place, float(row[f"videos/{camera}/from_timestamp"])
            if index < 0 or length < 1 or not isinstance(tasks[0], str):
                raise ValueError("an episode without frames")
            if not all(math.isfinite(begin) for _, begin in videos.values()):
                raise ValueError("a video that begins at no time")
        except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
            raise DatasetError(f"{self.path}/meta/episodes is damaged: {error}") from error
        return LeRobotEpisode(index, length, tasks[0], self.path / data, videos)


class naming:  # noqa: N801  read like a word: `with naming(file):`
    """Make one line that names the file of whatever pyarrow raises."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, pa.ArrowException | OSError | ValueError | MemoryError):
            raise DatasetError(f"{self._file} is damaged: {str(error).splitlines()[0]}") from error


def column_values(column: pa.ChunkedArray) -> Array:
    """(T, D) numbers of a column.

    Raises:
        ValueError: it holds anything else.
    """
    parts = []
    for chunk in column.chunks:
        length = len(chunk)
        while not pa.types.is_primitive(chunk.type):
            if isinstance(chunk, pa.ExtensionArray):
                chunk = chunk.storage
            elif not isinstance(chunk, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):
                raise ValueError(f"it holds {chunk.type}, no numbers")
            elif chunk.null_count:
                raise ValueError("a value is missing")
            else:
                chunk = chunk.flatten()
        if chunk.null_count:
            raise ValueError("a value is missing")
        parts.append(chunk.to_numpy(zero_copy_only=False).reshape(length, -1))
    values = np.concatenate(parts) if parts else np.empty((0, 0))
    if values.dtype.kind not in "biuf":
        raise ValueError(f"it holds {values.dtype}, no numbers")
    return values


def _require_template(file: Path, template: str) -> None:
    """A path's pattern may name a file only by its numbers: format strings can do more."""
    try:
        for _, name, form, conversion in string.Formatter().parse(template):
            plain = re.fullmatch(r"0?\d?d?", form or "") and not conversion
            if name is not None and (name not in _PLACES or not plain):
                raise ValueError(name)
    except ValueError as error:
        raise DatasetError(f"{file}: {template!r:.80} is no pattern of a path") from error
