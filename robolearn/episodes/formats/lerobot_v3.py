"""LeRobot datasets, version 3: written by LeRobot's own library, read as it lays them out.

Names are LeRobot's; our parts of the state are one vector there. What LeRobot has no place for
stands in columns ``robolearn.*``, which no policy of LeRobot's looks at, and in
``meta/robolearn.parquet``: the description of each episode, and which side of the split it is on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from robolearn.episodes.dataset import Dataset, DatasetWriter, EpisodeSummary, is_valid
from robolearn.episodes.description import Description
from robolearn.episodes.episode import Episode, differing_features
from robolearn.episodes.features import ACTION, ActionFeature, Feature
from robolearn.episodes.formats.layouts import lerobot_keys, lerobot_observations
from robolearn.episodes.formats.lerobot_frames import embedded_images, video_images
from robolearn.episodes.formats.lerobot_meta import (
    DESCRIPTIONS,
    LeRobotEpisode,
    LeRobotMeta,
    column_values,
    naming,
)
from robolearn.episodes.frames import Array, EpisodeContext, Outcome
from robolearn.episodes.images import Images
from robolearn.errors import DatasetError, FeatureMismatch, FolderInUse
from robolearn.folders import claimed, commit

type LeRobotImages = Literal["png", "video"]

_REWARD, _SUCCESS, _DONE = "next.reward", "next.success", "next.done"
_INTERVENTION, _TIME = "robolearn.intervention", "robolearn.time"
_ASKED, _TIMESTAMPS = "robolearn.action_asked", "robolearn.timestamps"
_FRAMES_AT_A_TIME = 8
_WRITING_THREADS = 2
_DESCRIPTIONS_AT_A_TIME = 64


class LeRobotV3Dataset(Dataset):
    """Reads a LeRobot dataset of version 3, without LeRobot and without the network.

    From one that robolearn did not write, the features ``observation.*`` and ``simulator_state``
    are read, but no text and no depth maps; the action's range is that of the statistics.

    Args:
        path: of the folder with ``meta/info.json``.

    Raises:
        DatasetError: it is of another version, or damaged; names the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._meta = LeRobotMeta(path)
        self._rows: dict[Path, dict[int, tuple[int, int]]] = {}

    @cached_property
    def summaries(self) -> Sequence[EpisodeSummary]:
        return [self._summary(index) for index in range(len(self))]

    def __len__(self) -> int:
        return len(self._meta.episodes)

    @property
    def context(self) -> EpisodeContext:
        if not len(self):
            raise DatasetError(f"{self.path} has no episodes")
        return self._context(0)

    def episode(self, index: int) -> Episode:
        row = self._meta.episodes[index]
        context = self._context(index)
        try:
            return self._read(index, row, context)
        except DatasetError as error:
            if str(error).startswith(str(self.path)):
                raise
            raise DatasetError(f"{self.path}: episode {row.index}: {error}") from error

    def _summary(self, index: int) -> EpisodeSummary:
        row = self._meta.episodes[index]
        described = self._description(index)
        if described is None:
            valid = is_valid(row.index)
            return EpisodeSummary(row.index, row.length, valid, None, row.task, "unknown")
        return EpisodeSummary(
            number=row.index,
            frames=row.length,
            valid=self._valid(index),
            success=described.outcome.success,
            task=described.task,
            agent=described.agent,
            operator=described.operator,
            notes=described.notes,
            seed=described.seed,
        )

    def _valid(self, index: int) -> bool:
        table = self._meta.descriptions
        return table is not None and bool(table["valid"][index].as_py())

    def _description(self, index: int) -> Description | None:
        table = self._meta.descriptions
        if table is None:
            return None
        try:
            return Description.from_json(table["description"][index].as_py() or "")
        except DatasetError as error:
            raise DatasetError(f"{self.path / DESCRIPTIONS}: episode {index}: {error}") from error

    def _model_file(self, index: int) -> str | None:
        """Read by itself: it may be larger than all the rest of the description."""
        with self._meta.open_parquet(self.path / DESCRIPTIONS) as parquet:
            table = _read_rows(parquet, self.path / DESCRIPTIONS, ["model_file"], index, index + 1)
        value = table["model_file"][0].as_py()
        return value if isinstance(value, str) else None

    def _context(self, index: int) -> EpisodeContext:
        described = self._description(index)
        if described is not None:
            return replace(described.context, model_file=self._model_file(index))
        return replace(self._inferred, task=self._meta.episodes[index].task)

    @cached_property
    def _inferred(self) -> EpisodeContext:
        info = self._meta.info
        features = {}
        for key in lerobot_observations(info.features):
            feature = info.features[key].feature
            if feature is not None:
                features[key] = feature
        action = info.features[ACTION].feature if ACTION in info.features else None
        if action is None or len(action.shape) != 1:
            raise DatasetError(f"{self.path}/meta/info.json has no feature {ACTION!r} of numbers")
        size = action.shape[0]
        low, high = self._meta.limits(ACTION, size) or (np.zeros(size), np.zeros(size))
        return EpisodeContext(
            features=features,
            action=ActionFeature(
                action.dtype,
                action.shape,
                action.names,
                low=tuple(map(float, low.clip(max=-1))),
                high=tuple(map(float, high.clip(min=1))),
            ),
            task="",
            rate=info.fps,
        )

    def _read(self, index: int, row: LeRobotEpisode, context: EpisodeContext) -> Episode:
        described = self._description(index)
        keys = _keys(context) if described else {name: [name] for name in context.features}
        for key in (*keys, ACTION):
            if key not in self._meta.info.features:
                raise DatasetError(f"meta/info.json has no feature {key!r}")
        images = {
            name: self._images(row, name) for name, f in context.features.items() if f.is_image
        }
        wanted = [key for key in keys if key not in images]
        wanted += [
            ACTION,
            _REWARD,
            _SUCCESS,
            _INTERVENTION,
            _TIME,
            _ASKED,
            _TIMESTAMPS,
            "timestamp",
        ]
        columns = _Columns(self._table(row, wanted), row.length)
        observations: dict[str, Array] = {}
        for key in keys:
            if key not in images:
                parts = {name: context.features[name] for name in keys[key]}
                observations |= columns.parts(key, parts)
        actions = columns.parts(ACTION, {ACTION: context.action})[ACTION]
        time = columns.scalars(
            _TIME, columns.scalars("timestamp", np.arange(row.length) / context.rate)
        )
        time = time.astype(np.float64)
        success = columns.scalars(_SUCCESS, np.zeros(row.length, bool))
        known = _SUCCESS in columns
        streams = (*context.features, ACTION)
        times = columns.vectors(_TIMESTAMPS, len(streams)) if described else None
        return Episode(
            context=context,
            observations={
                name: observations[name] for name in context.features if name not in images
            },
            images=images,
            actions=actions,
            actions_asked=columns.parts(_ASKED, {_ASKED: context.action}).get(_ASKED, actions),
            rewards=columns.scalars(_REWARD, np.zeros(row.length, np.float32)),
            success=success,
            interventions=columns.scalars(_INTERVENTION, np.zeros(row.length, bool)),
            time=time,
            timestamps={
                name: time if times is None else times[:, place].copy()
                for place, name in enumerate(streams)
            },
            outcome=described.outcome
            if described
            else Outcome(
                row.length,
                bool(success.any()) if known else None,
                bool(success[-1]) if known else None,
                "horizon",
            ),
            agent=described.agent if described else "unknown",
            recorded_at=described.recorded_at if described else None,
            operator=described.operator if described else "",
            notes=described.notes if described else "",
            lost_images=described.lost_images if described else {},
        )

    def _images(self, row: LeRobotEpisode, key: str) -> Images:
        feature = self._meta.info.features[key]
        form = feature.feature
        if form is None or not form.is_image:
            raise DatasetError(f"meta/info.json: {key} is no camera")
        shape = (row.length, *form.shape)
        if feature.dtype == "video":
            file, begin = row.videos[key]
            return video_images(self._meta, file, begin, shape)
        return embedded_images(self._meta, row.data, key, self._span(row)[0], shape)

    def _table(self, row: LeRobotEpisode, columns: list[str]) -> pa.Table:
        """The episode's rows of those columns that are there."""
        begin, end = self._span(row)
        with self._meta.open_parquet(row.data) as parquet:
            there = set(parquet.schema_arrow.names)
            wanted = [column for column in columns if column in there]
            return _read_rows(parquet, row.data, wanted, begin, end)

    def _span(self, row: LeRobotEpisode) -> tuple[int, int]:
        """Which rows of its file an episode has."""
        if row.data not in self._rows:
            table = self._meta.table(row.data, ["episode_index"])
            with naming(row.data):
                numbers = column_values(table["episode_index"])[:, 0]
            begins = np.flatnonzero(np.diff(numbers, prepend=numbers[:1] - 1))
            ends = np.append(begins[1:], len(numbers))
            self._rows[row.data] = {
                int(numbers[begin]): (int(begin), int(end))
                for begin, end in zip(begins, ends, strict=True)
            }
        begin, end = self._rows[row.data].get(row.index, (0, 0))
        if end - begin != row.length:
            raise DatasetError(
                f"{row.data} has {end - begin} frames of episode {row.index}, not {row.length}"
            )
        return begin, end


class _Columns:
    """Columns of one episode as arrays."""

    def __init__(self, table: pa.Table, length: int) -> None:
        self._table = table
        self._length = length

    def __contains__(self, key: str) -> bool:
        return key in self._table.column_names

    def scalars(self, key: str, default: Array) -> Array:
        """(T,) one number a frame."""
        if key not in self:
            return default
        found = self._flat(key)
        if found.shape[1] != 1:
            raise DatasetError(f"{key} is not one number a frame")
        return found[:, 0]

    def vectors(self, key: str, size: int) -> Array | None:
        """(T, size)."""
        if key not in self:
            return None
        found = self._flat(key)
        if found.shape[1] != size:
            raise DatasetError(f"{key} has {found.shape[1]} numbers a frame, not {size}")
        return found

    def parts(self, key: str, features: dict[str, Feature]) -> dict[str, Array]:
        """What a vector is made of, by feature name; nothing where the column is not there."""
        if key not in self:
            if key == _ASKED:
                return {}
            raise DatasetError(f"its frames have no {key}")
        sizes = [int(np.prod(feature.shape)) for feature in features.values()]
        found = self.vectors(key, sum(sizes))
        parts = np.split(np.empty(0) if found is None else found, np.cumsum(sizes)[:-1], axis=1)
        return {
            name: np.ascontiguousarray(part, feature.dtype).reshape(self._length, *feature.shape)
            for part, (name, feature) in zip(parts, features.items(), strict=True)
        }

    def _flat(self, key: str) -> Array:
        try:
            return column_values(self._table[key])
        except ValueError as error:
            raise DatasetError(f"{key} cannot be read: {error}") from error


def _read_rows(
    parquet: pq.ParquetFile, file: Path, columns: list[str], begin: int, end: int
) -> pa.Table:
    """Some rows, of no more row groups than they are in."""
    groups: list[int] = []
    place = first = 0
    for group in range(parquet.num_row_groups):
        rows = parquet.metadata.row_group(group).num_rows
        if place < end and place + rows > begin:
            first = first if groups else place
            groups.append(group)
        place += rows
    if place < end:
        raise DatasetError(f"{file} has {place} rows, and not {end}")
    with naming(file):
        table = parquet.read_row_groups(groups, columns=columns, use_threads=False)
        return table.slice(begin - first, end - begin)


class LeRobotV3Writer(DatasetWriter):
    """Writes a new LeRobot dataset. It appears when the writer is closed; after an error, not.

    LeRobot holds the encoded images of one episode in memory.

    Args:
        path: of the folder, which must not be there.
        images: ``png``: without loss; ``video``: AV1, as LeRobot encodes it, which loses a little.

    Raises:
        FolderInUse: the path holds something, or another process is writing there.
    """

    def __init__(self, path: Path, images: LeRobotImages = "png") -> None:
        super().__init__(path)
        if path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise FolderInUse(f"{path} exists; LeRobot's datasets are written anew, name another")
        self._images = images
        self._staging = path.with_name(f".{path.name}.part")
        self._staged = self._staging / "dataset"
        self._library: Any = None
        self._context: EpisodeContext | None = None
        self._descriptions: _DescriptionsWriter | None = None
        self._whole = True
        self._count = 0
        with ExitStack() as stack:
            stack.enter_context(claimed(self._staging, "LeRobot dataset", "dataset"))
            shutil.rmtree(self._staged, ignore_errors=True)  # what a kill left
            self._claim = stack.pop_all()

    def add(self, episode: Episode, *, valid: bool | None = None) -> int:
        if not self._whole:
            raise DatasetError(f"{self.path}: an episode before could not be written")
        if not len(episode):
            raise DatasetError("an episode without frames cannot be kept in a LeRobot dataset")
        context = episode.context
        if self._context is not None:
            if differing := differing_features(self._context, context):
                raise FeatureMismatch(f"{self.path} has other {', '.join(differing)}")
        elif context.rate != int(context.rate):
            raise DatasetError(
                f"LeRobot's rates are whole numbers; the episode's is {context.rate} Hz"
            )
        columns = _columns(episode)
        self._whole = False
        with _lerobot() as library:
            if self._library is None:
                self._context = context
                self._library = library.create(
                    self.path.name,
                    fps=int(context.rate),
                    features=_features(episode, columns, self._images),
                    root=self._staged,
                    use_videos=self._images == "video",
                    image_writer_threads=_WRITING_THREADS if episode.images else 0,
                )
                self._descriptions = _DescriptionsWriter(self._staged / DESCRIPTIONS)
            self._add_frames(episode, columns)
            # Several cameras would be encoded by processes of their own, which Ctrl-C reaches.
            self._library.save_episode(parallel_encoding=False)
        number = self._count
        split = is_valid(number) if valid is None else valid
        if self._descriptions is not None:
            self._descriptions.add(number, split, episode)
        if self._images == "video" and episode.images:
            self.left_out.add("the exact pixels of the images, which are video")
        self._count += 1
        self._whole = True
        return number

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._claim:
            try:
                if self._library is not None:
                    self._finish(kept=error is None and self._whole)
            finally:
                shutil.rmtree(self._staging, ignore_errors=True)

    def _finish(self, kept: bool) -> None:
        if not kept:
            # Or else it would write again when it is collected. A full disk needs room for that.
            shutil.rmtree(self._staged, ignore_errors=True)
            for finalize in (self._library.finalize, self._library.meta.finalize):
                with contextlib.suppress(Exception), _lerobot():
                    finalize()
            return
        with _lerobot():
            self._library.finalize()
        if self._descriptions is not None:
            self._descriptions.close()
        shutil.rmtree(self._staged / "images", ignore_errors=True)
        commit(self._staged, self.path)

    def _add_frames(self, episode: Episode, columns: dict[str, Array]) -> None:
        task = episode.context.task
        for first in range(0, len(episode), _FRAMES_AT_A_TIME):
            inside = slice(first, min(first + _FRAMES_AT_A_TIME, len(episode)))
            pictures = {name: images[inside] for name, images in episode.images.items()}
            for place in range(inside.stop - first):
                frame: dict[str, Any] = {
                    name: values[first + place] for name, values in columns.items()
                }
                frame |= {name: values[place] for name, values in pictures.items()}
                self._library.add_frame(frame | {"task": task})
            if pictures:
                # Its queue has no bound.
                self._library.writer.image_writer.wait_until_done()


class _DescriptionsWriter:
    """What LeRobot has no place for and is not of each frame."""

    _SCHEMA = pa.schema(
        {
            "episode_index": pa.int64(),
            "length": pa.int64(),
            "valid": pa.bool_(),
            "description": pa.string(),
            "model_file": pa.string(),
        }
    )

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = pq.ParquetWriter(path, self._SCHEMA, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def add(self, number: int, valid: bool, episode: Episode) -> None:
        described = replace(Description.of(episode), model_file=None)
        self._rows.append(
            {
                "episode_index": number,
                "length": len(episode),
                "valid": valid,
                "description": described.to_json(),
                "model_file": episode.context.model_file,
            }
        )
        if len(self._rows) >= _DESCRIPTIONS_AT_A_TIME:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, self._SCHEMA))
            self._rows.clear()


def _keys(context: EpisodeContext) -> dict[str, list[str]]:
    return lerobot_keys(context.features)


def _columns(episode: Episode) -> dict[str, Array]:
    """(T, D) of each of LeRobot's features, without the images.

    Features of more dimensions become vectors: LeRobot's statistics fail on some of them.
    """
    length, context = len(episode), episode.context
    columns = {}
    for key, names in _keys(context).items():
        if not context.features[names[0]].is_image:
            parts = [episode.observations[name].reshape(length, -1) for name in names]
            columns[key] = np.concatenate(parts, axis=1)
    streams = (*context.features, ACTION)
    missing = [name for name in streams if name not in episode.timestamps]
    if missing:
        raise DatasetError(f"{missing[0]} has no timestamps")
    times = [np.asarray(episode.timestamps[name], np.float64) for name in streams]
    return columns | {
        ACTION: episode.actions,
        _REWARD: episode.rewards.reshape(length, 1),
        _SUCCESS: episode.success.astype(bool).reshape(length, 1),
        _DONE: (np.arange(length) == length - 1).reshape(length, 1),
        _INTERVENTION: episode.interventions.astype(bool).reshape(length, 1),
        _TIME: episode.time.reshape(length, 1),
        _ASKED: episode.actions_asked,
        _TIMESTAMPS: np.stack(times, axis=1),
    }


def _features(
    episode: Episode, columns: dict[str, Array], images: LeRobotImages
) -> dict[str, dict[str, Any]]:
    """As LeRobot describes them."""
    context = episode.context
    element_names = {
        key: [element for name in names for element in _element_names(name, context.features[name])]
        for key, names in _keys(context).items()
    }
    element_names |= dict.fromkeys((ACTION, _ASKED), _element_names(ACTION, context.action))
    element_names[_TIMESTAMPS] = [*context.features, ACTION]
    features: dict[str, dict[str, Any]] = {
        key: {
            "dtype": values.dtype.name,
            "shape": values.shape[1:],
            "names": element_names.get(key, [key]),
        }
        for key, values in columns.items()
    }
    for name in episode.images:
        shape = context.features[name].shape
        if shape[2] != 3:
            raise DatasetError(f"{name}: LeRobot's images have 3 channels, not {shape[2]}")
        form = "video" if images == "video" else "image"
        names = ["height", "width", "channels"]
        features[name] = {"dtype": form, "shape": shape, "names": names}
    return features


def _element_names(name: str, feature: Feature) -> list[str]:
    stem = name.rpartition(".")[2]
    return list(feature.names or (f"{stem}.{i}" for i in range(int(np.prod(feature.shape)))))


@contextlib.contextmanager
def _lerobot() -> Iterator[Any]:
    """LeRobot's dataset class, kept quiet. What it only logs as an error is raised.

    Raises:
        OSError: it could not write something.
        DatasetError: it refuses an episode.
    """
    os.environ.setdefault("SVT_LOG", "1")  # errors only; read by the encoder
    errors: list[str] = []
    logger = logging.getLogger("lerobot")
    collector = logging.Handler(logging.ERROR)
    collector.emit = lambda record: errors.append(record.getMessage())  # type: ignore[method-assign]
    propagate = logger.propagate
    logger.propagate = False
    logger.addHandler(collector)
    try:
        import av.logging
        from lerobot.datasets import LeRobotDataset
        from lerobot.utils.utils import SuppressProgressBars

        av.logging.set_libav_level(av.logging.ERROR)
        with SuppressProgressBars():
            yield LeRobotDataset
    except (ValueError, TypeError, NotImplementedError) as error:
        raise DatasetError(f"LeRobot cannot hold the episode: {error}") from error
    finally:
        logger.removeHandler(collector)
        logger.propagate = propagate
    if errors:
        raise OSError(f"LeRobot could not write the episode: {errors[0]}")
