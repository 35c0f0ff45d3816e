"""Replay buffers of Diffusion Policy and UMI: zarr format 2, a folder or a ``.zarr.zip``.

``data/<key>`` holds (N, ...) all episodes one after the other and ``meta/episode_ends`` (E,) where
each ends. What that layout lacks stands in a group ``robolearn`` beside them, which Diffusion
Policy's own class does not look at: per frame ``rewards``, ``success``, ``interventions``,
``time``, ``actions_asked`` and ``timestamps`` (N, S) of the streams in the order of the features,
the action last; per episode a description in JSON, the simulated world's model, and on which side
of the split it is.
"""

from __future__ import annotations

import contextlib
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from robolearn.episodes.dataset import Dataset, DatasetWriter, EpisodeSummary, is_valid
from robolearn.episodes.description import Description
from robolearn.episodes.episode import Episode, differing_features
from robolearn.episodes.features import ACTION, ActionFeature, Feature
from robolearn.episodes.formats.layouts import replay_buffer_feature, replay_buffer_keys
from robolearn.episodes.formats.undescribed import undescribed
from robolearn.episodes.formats.zarr_arrays import (
    FolderStore,
    Store,
    StoredArray,
    ZipStore,
    array_names,
)
from robolearn.episodes.formats.zarr_growing import GrowingArrays, ReplayImages
from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.episodes.images import StoredSequence
from robolearn.errors import DatasetError, FeatureMismatch, FolderInUse
from robolearn.folders import claimed, commit, write_file

OWN = "robolearn"
DEFAULT_RATE = 10.0
"""Diffusion Policy's, Hz: the layout has no place for the rate."""

_ENDS = "meta/episode_ends"
_OWN_ENDS = f"{OWN}/episode_ends"
_MARKER = f"{OWN}/.zgroup"
_KIND = "replay buffer of robolearn"
_FRAME_VALUES = ("rewards", "success", "interventions", "time", "actions_asked", "timestamps")
_TEXTS = ("descriptions", "models")
_PER_FRAME = {f"{OWN}/{name}" for name in _FRAME_VALUES}
_PER_EPISODE = {_OWN_ENDS, f"{OWN}/valid", *(f"{OWN}/{name}_spans" for name in _TEXTS)}

_MOST_EPISODES = 10_000_000
_MOST_FRAMES = 100_000_000
"""38 days at 30 Hz. What is declared beyond that was never recorded."""
_MOST_TEXT = 64 << 20
_ROWS_AT_A_TIME = 1 << 16


class ReplayBufferDataset(Dataset):
    """Reads a replay buffer.

    From one that robolearn did not write, features are read off the arrays, the range of the
    actions off the actions, and the rate is 10 Hz.

    Args:
        path: of the folder or ``.zarr.zip``.

    Raises:
        DatasetError: it is no replay buffer.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with _named(path):
            self._store = _open_store(path)
            self._ends = _read_ends(StoredArray(self._store, _ENDS))
            arrays = {
                key: StoredArray(self._store, f"data/{key}")
                for key in array_names(self._store, "data")
            }
            if ACTION not in arrays:
                raise DatasetError(f"it has no data/{ACTION}")
            for array in arrays.values():
                _require_rows(array, self._frames)
            self._arrays = arrays
            self._own = _OwnGroup.open(self._store, self._ends)

    @property
    def is_described(self) -> bool:
        """Whether robolearn wrote all of it."""
        return self._own is not None and self._own.episodes == len(self._ends)

    @property
    def ends(self) -> list[int]:
        """Where each episode ends."""
        return [int(end) for end in self._ends]

    @property
    def _frames(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @cached_property
    def summaries(self) -> Sequence[EpisodeSummary]:
        with _named(self.path):
            return [self._summary(index) for index in range(len(self._ends))]

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def context(self) -> EpisodeContext:
        with _named(self.path):
            if not len(self._ends):
                raise DatasetError("it has no episodes")
            return self._context(0)

    def episode(self, index: int) -> Episode:
        first, stop = self._span(index)
        with _named(self.path):
            try:
                return self._read(index, first, stop)
            except DatasetError as error:
                raise DatasetError(f"episode {index}: {error}") from error

    def _span(self, index: int) -> tuple[int, int]:
        return (int(self._ends[index - 1]) if index else 0), int(self._ends[index])

    def _summary(self, index: int) -> EpisodeSummary:
        first, stop = self._span(index)
        own = self._own_of(index)
        if own is None:
            return EpisodeSummary(index, stop - first, is_valid(index), None, "", "unknown")
        description = own.description(index)
        return EpisodeSummary(
            number=index,
            frames=stop - first,
            valid=own.valid(index),
            success=description.outcome.success,
            task=description.task,
            agent=description.agent,
            operator=description.operator,
            notes=description.notes,
            seed=description.seed,
        )

    def _own_of(self, index: int) -> _OwnGroup | None:
        return self._own if self._own is not None and index < self._own.episodes else None

    def _context(self, index: int) -> EpisodeContext:
        own = self._own_of(index)
        if own is None:
            return self._inferred
        return replace(own.description(index).context, model_file=own.model(index))

    def _read(self, index: int, first: int, stop: int) -> Episode:
        context = self._context(index)
        keys = replay_buffer_keys(context.features)
        observations, images = {}, {}
        for name, feature in context.features.items():
            if keys[name] not in self._arrays:
                raise DatasetError(f"data/{keys[name]} is missing")
            array = self._arrays[keys[name]]
            if feature.is_image:
                images[name] = StoredImages(self.path, array, first, stop)
            else:
                observations[name] = array.rows(first, stop)
        actions = self._arrays[ACTION].rows(first, stop)
        own = self._own_of(index)
        if own is None:
            return undescribed(context, observations, images, actions)
        description = own.description(index)
        values = own.frames(first, stop)
        streams = (*context.features, ACTION)
        times = values.pop("timestamps")
        if times.ndim != 2 or times.shape[1] != len(streams):
            raise DatasetError(f"{OWN}/timestamps are not those of {len(streams)} streams")
        return Episode(
            context=context,
            observations=observations,
            images=images,
            actions=actions,
            timestamps={name: times[:, place].copy() for place, name in enumerate(streams)},
            outcome=description.outcome,
            agent=description.agent,
            recorded_at=description.recorded_at,
            operator=description.operator,
            notes=description.notes,
            lost_images=description.lost_images,
            **values,
        )

    @cached_property
    def _inferred(self) -> EpisodeContext:
        """The layout itself has no schema: shapes are read off the arrays."""
        features = {}
        for key, array in self._arrays.items():
            if key == ACTION:
                continue
            shape = array.shape[1:]
            image = len(shape) == 3
            dtype = "uint8" if image else array.dtype.name
            features[replay_buffer_feature(key, image)] = Feature(dtype, shape)
        actions = self._arrays[ACTION]
        if len(actions.shape) != 2:
            raise DatasetError(f"data/{ACTION} has frames of {actions.shape[1:]}, not vectors")
        low, high = self._action_range(actions)
        return EpisodeContext(
            features=features,
            action=ActionFeature(actions.dtype.name, actions.shape[1:], low=low, high=high),
            task="",
            rate=DEFAULT_RATE,
        )

    def _action_range(self, actions: StoredArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """[-1, 1], or more where the actions themselves need more."""
        low, high = -np.ones(actions.shape[1]), np.ones(actions.shape[1])
        for first in range(0, self._frames, _ROWS_AT_A_TIME):
            values = actions.rows(first, min(first + _ROWS_AT_A_TIME, self._frames))
            finite = values[np.isfinite(values).all(axis=1)].astype(np.float64)
            low = finite.min(axis=0, initial=np.inf).clip(max=low)
            high = finite.max(axis=0, initial=-np.inf).clip(min=high)
        return tuple(map(float, low)), tuple(map(float, high))


class StoredImages(StoredSequence):
    """(T, H, W, C) images of an array, read when they are asked for.

    Whole numbers from 0 to 255 of any other type are made uint8: Diffusion Policy keeps some images
    as float32.

    Args:
        path: of the dataset.
        array: (N, H, W, C).
        first: row of the first frame.
        stop: row after the last one.
    """

    def __init__(self, path: Path, array: StoredArray, first: int, stop: int) -> None:
        super().__init__((stop - first, *array.shape[1:]))
        self._path = path
        self._array = array
        self._first = first

    def _read(self, first: int, stop: int) -> Array:
        with _named(self._path):
            values = self._array.rows(self._first + first, self._first + stop)
            if values.dtype == np.uint8:
                return values
            with np.errstate(invalid="ignore"):
                images: Array = values.astype(np.uint8)
            if not np.array_equal(images, values):
                raise DatasetError(
                    f"{self._array.name} has values that are no whole numbers from 0 to 255, "
                    f"so they are no images that can be read"
                )
            return images


class _OwnGroup:
    """What robolearn wrote beside the layout.

    Attributes:
        episodes: how many of them it describes.
    """

    def __init__(self, store: Store, ends: Array) -> None:
        own_ends = _read_ends(StoredArray(store, _OWN_ENDS))
        self.episodes = min(len(own_ends), len(ends))
        if not np.array_equal(own_ends[: self.episodes], ends[: self.episodes]):
            raise DatasetError(
                f"its episodes were changed by a program that does not know {OWN}/; "
                f"delete that folder to read it without what it says"
            )
        self._valid = StoredArray(store, f"{OWN}/valid")
        self._per_frame = {name: StoredArray(store, f"{OWN}/{name}") for name in _FRAME_VALUES}
        self._texts = {name: StoredArray(store, f"{OWN}/{name}") for name in _TEXTS}
        self._spans = {name: StoredArray(store, f"{OWN}/{name}_spans") for name in _TEXTS}
        described = int(ends[self.episodes - 1]) if self.episodes else 0
        for array in self._per_frame.values():
            _require_rows(array, described)
        for array in (self._valid, *self._spans.values()):
            _require_rows(array, self.episodes)

    @classmethod
    def open(cls, store: Store, ends: Array) -> _OwnGroup | None:
        return cls(store, ends) if "episode_ends" in array_names(store, OWN) else None

    def frames(self, first: int, stop: int) -> dict[str, Any]:
        return {name: array.rows(first, stop) for name, array in self._per_frame.items()}

    def valid(self, index: int) -> bool:
        return bool(self._valid.rows(index, index + 1)[0])

    def description(self, index: int) -> Description:
        return Description.from_json(self._text("descriptions", index))

    def model(self, index: int) -> str | None:
        try:
            return self._text("models", index).decode() or None
        except UnicodeDecodeError as error:
            raise DatasetError(f"{OWN}/models is damaged: {error}") from error

    def _text(self, name: str, index: int) -> bytes:
        span = self._spans[name].rows(index, index + 1)
        if span.shape != (1, 2) or not 0 <= span[0, 1] - span[0, 0] <= _MOST_TEXT:
            raise DatasetError(f"{OWN}/{name}_spans is damaged")
        first, stop = map(int, span[0])
        return self._texts[name].rows(first, stop).tobytes()


class ReplayBufferWriter(DatasetWriter):
    """Adds episodes to a replay buffer.

    A folder is gone on with where robolearn wrote it. An episode is there once its end is, which is
    written last: what a kill leaves behind it is not part of the dataset, and the next writer cuts
    it off. A ``.zarr.zip`` is always a new one, and appears when the writer is closed; after an
    error, nothing of it is left.

    Args:
        path: of the folder ``*.zarr``, or of the file ``*.zarr.zip``.
        images: ``lossless``: Blosc; ``raw``; ``jpegxl`` and ``jpeg2k``: as UMI has them, which
            lose a little. A buffer that is gone on with keeps what it has.

    Raises:
        FolderInUse: the path holds something else, or another process is writing there.
        DatasetError: another program wrote to the buffer.
    """

    def __init__(self, path: Path, images: ReplayImages = "lossless") -> None:
        super().__init__(path)
        self._images = images
        self._zipped = path.suffix == ".zip"
        if self._zipped and path.exists():
            raise FolderInUse(f"{path} exists; a zip file is not added to, name another")
        self._folder = path.with_name(f".{path.name}.part") if self._zipped else path
        self._context: EpisodeContext | None = None
        self._ends: list[int] = []
        with ExitStack() as stack:
            _drop_unmarked(self._folder)
            stack.enter_context(claimed(self._folder, _KIND, _MARKER))
            if self._zipped:
                _empty(self._folder)
            with _named(path):
                self._arrays = self._open()
            self._claim = stack.pop_all()

    def add(self, episode: Episode, *, valid: bool | None = None) -> int:
        if not len(episode):
            raise DatasetError("an episode without frames cannot be kept in a replay buffer")
        if self._context is None:
            self._create(episode)
            self._context = episode.context
        elif differing := differing_features(self._context, episode.context):
            raise FeatureMismatch(f"{self.path} has other {', '.join(differing)}")
        arrays = self._arrays
        number, begin = len(self._ends), self._ends[-1] if self._ends else 0
        for name, key in replay_buffer_keys(episode.context.features).items():
            if name in episode.images:
                arrays.write_images(f"data/{key}", begin, episode.images[name])
            else:
                arrays.write(f"data/{key}", begin, episode.observations[name])
        arrays.write(f"data/{ACTION}", begin, episode.actions)
        for name, values in _own_frames(episode).items():
            arrays.write(f"{OWN}/{name}", begin, values)
        described = replace(Description.of(episode), model_file=None).to_json()
        self._write_text("descriptions", number, described)
        self._write_text("models", number, episode.context.model_file or "")
        split = is_valid(number) if valid is None else valid
        arrays.write(f"{OWN}/valid", number, np.array([split]))
        end = begin + len(episode)
        for place in (_OWN_ENDS, _ENDS):
            arrays.append_end(place, self._ends, end)
        self._ends.append(end)
        return number

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._claim:
            if not self._zipped and self._ends:
                self._cut()
                return
            try:
                if self._zipped and self._ends and error is None:
                    self._zip()
            finally:
                with contextlib.suppress(OSError):
                    _empty(self._folder)
                    self._folder.rmdir()

    def _open(self) -> GrowingArrays:
        (self._folder / OWN).mkdir(exist_ok=True)
        write_file(self._folder / _MARKER, '{"zarr_format": 2}')
        self._arrays = arrays = GrowingArrays(self._folder, ("data", "meta", OWN))
        if _ENDS not in arrays:
            arrays.create_ends(_ENDS)
        there = ReplayBufferDataset(self._folder) if len(arrays.rows(_ENDS, 0, 1)) else None
        if there is None:
            for key in arrays.names:  # what a kill left of a first episode
                if key != _ENDS:
                    arrays.delete(key)
        elif there.is_described and arrays.takes_ends(_ENDS):
            self._context = there.context
            self._ends = there.ends
            self._cut()
        else:
            raise DatasetError("another program added to it; convert it to a new one to go on")
        return arrays

    def _cut(self) -> None:
        """Drop the rows of an episode that was not finished."""
        for key in self._arrays.names:
            if key.startswith("data/") or key in _PER_FRAME:
                self._arrays.cut(key, self._ends[-1])
            elif key in _PER_EPISODE:
                self._arrays.cut(key, len(self._ends))

    def _create(self, episode: Episode) -> None:
        arrays, context = self._arrays, episode.context
        for name, key in replay_buffer_keys(context.features).items():
            feature = context.features[name]
            if feature.is_image:
                arrays.create_images(f"data/{key}", feature.shape, self._images)
            else:
                arrays.create(f"data/{key}", feature.shape, np.dtype(feature.dtype))
        arrays.create(f"data/{ACTION}", context.action.shape, np.dtype(context.action.dtype))
        for name, values in _own_frames(episode).items():
            arrays.create(f"{OWN}/{name}", values.shape[1:], values.dtype)
        for name in _TEXTS:
            arrays.create(f"{OWN}/{name}", (), np.dtype(np.uint8))
            arrays.create(f"{OWN}/{name}_spans", (2,), np.dtype(np.int64))
        arrays.create(f"{OWN}/valid", (), np.dtype(bool))
        arrays.create_ends(_OWN_ENDS)

    def _write_text(self, name: str, number: int, text: str) -> None:
        """A text that is the same as the one before is not written again."""
        texts, spans = f"{OWN}/{name}", f"{OWN}/{name}_spans"
        data = np.frombuffer(text.encode(), np.uint8)
        before = self._arrays.rows(spans, number - 1, number) if number else np.zeros((1, 2), int)
        first, stop = int(before[0, 0]), int(before[0, 1])
        if not np.array_equal(self._arrays.rows(texts, first, stop), data):
            first, stop = stop, stop + len(data)
            self._arrays.write(texts, first, data)
        self._arrays.write(spans, number, np.array([[first, stop]]))

    def _zip(self) -> None:
        staged = self.path.with_name(f".{self.path.name}.zip")
        try:
            with zipfile.ZipFile(staged, "w", zipfile.ZIP_STORED) as target:
                for file in sorted(self._folder.rglob("*")):
                    if file.is_file():
                        target.write(file, file.relative_to(self._folder))
            commit(staged, self.path)
        finally:
            staged.unlink(missing_ok=True)


def _own_frames(episode: Episode) -> dict[str, Array]:
    streams = (*episode.context.features, ACTION)
    missing = [name for name in streams if name not in episode.timestamps]
    if missing:
        raise DatasetError(f"{missing[0]} has no timestamps")
    return {
        "rewards": episode.rewards,
        "success": episode.success,
        "interventions": episode.interventions,
        "time": episode.time,
        "actions_asked": episode.actions_asked,
        "timestamps": np.stack([episode.timestamps[name] for name in streams], axis=1),
    }


def _open_store(path: Path) -> Store:
    if path.is_file():
        return ZipStore(path)
    if (path / "zarr.json").exists() and not (path / ".zgroup").exists():
        raise DatasetError("it is of zarr format 3; save it in format 2, which its programs read")
    return FolderStore(path)


def _read_ends(array: StoredArray) -> Array:
    if len(array.shape) != 1 or array.dtype.kind not in "iu" or len(array) > _MOST_EPISODES:
        raise DatasetError(f"{array.name} is no list of at most {_MOST_EPISODES} whole numbers")
    ends = array.rows(0, len(array)).astype(np.int64)
    if (np.diff(ends, prepend=0) <= 0).any():
        raise DatasetError(f"{array.name} does not rise from episode to episode")
    if len(ends) and ends[-1] > _MOST_FRAMES:
        raise DatasetError(f"{array.name} ends at {ends[-1]}, more than {_MOST_FRAMES} frames")
    return ends


def _require_rows(array: StoredArray, rows: int) -> None:
    if len(array) < rows:
        raise DatasetError(f"{array.name} has {len(array)} rows where {rows} are needed")


def _empty(folder: Path) -> None:
    """The marker goes last, so that a folder half emptied is still known."""
    marker = folder / _MARKER
    children = [child for child in folder.iterdir() if child != marker.parent]
    if marker.parent.exists():
        children += [child for child in marker.parent.iterdir() if child != marker]
    for child in children:
        if child.is_dir():
            shutil.rmtree(child)
        else:
            child.unlink()
    marker.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        marker.parent.rmdir()


def _drop_unmarked(folder: Path) -> None:
    """A kill may fall between the marker and its folder: then only that folder is there."""
    own = folder / OWN
    if not _holds_at_most(folder, {OWN}) or not own.is_dir():
        return
    with claimed(folder, _KIND, OWN):  # nobody else is about to write the marker
        staged = f".{Path(_MARKER).name}.part"
        if _holds_at_most(folder, {OWN}) and _holds_at_most(own, {staged}):
            shutil.rmtree(own)


def _holds_at_most(folder: Path, names: set[str]) -> bool:
    return folder.is_dir() and {child.name for child in folder.iterdir()} <= names


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name the dataset in what is wrong with it."""
    try:
        yield
    except DatasetError as error:
        if str(error).startswith(f"{path}: "):
            raise
        raise DatasetError(f"{path}: {error}") from error
