"""One episode as a group ``data/demo_i`` of robomimic's HDF5 layout.

The group holds what robomimic defines (``obs/*``, ``actions``, ``rewards``, ``dones``, ``states``;
the attributes ``num_samples`` and ``model_file``; ``env_args`` on ``data``). What that layout lacks
stands beside it in ``robolearn/``, where old readers do not look.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from robolearn.episodes.dataset import EpisodeSummary
from robolearn.episodes.description import Description
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ACTION, SIMULATOR_STATE, ActionFeature, Feature
from robolearn.episodes.formats.layouts import feature_name, robomimic_key
from robolearn.episodes.formats.safe_hdf5 import (
    WritableHdf5,
    array,
    has,
    member,
    reading,
    require_bounded,
    writing,
)
from robolearn.episodes.formats.undescribed import undescribed
from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.episodes.images import (
    CODECS,
    JPEG_QUALITY,
    Codec,
    CodecName,
    EncodedImages,
    Images,
    Spans,
    StoredSequence,
    codec_of,
    encoded_frames,
)
from robolearn.errors import DatasetError
from robolearn.interrupts import interrupt_held_back

OWN = "robolearn"
"""Name of the group beside robomimic's arrays."""
_DESCRIPTION = "description"
_DEFAULT_RATE = 20.0
"""robosuite's and robomimic's own, Hz."""

_MOST_BYTES = 1 << 30
"""Of the vectors of an episode, which are held in memory: days of an arm at 20 Hz. Compressed, they
may take a thousandth of that in the file."""

_JPEG_FILTER = 32019
"""Registered with the HDF Group. Without its plug-in other readers refuse the images by name."""


def write_episode(
    episode: Episode, path: Path, *, images: CodecName | None = None, compress_model: bool = False
) -> None:
    """Write one episode to a new file, in the form that robomimic opens by itself.

    Args:
        episode: to write. Images are read a frame at a time.
        path: of a file that does not exist.
        images: how they are encoded; None leaves them as they are, and others without loss.
        compress_model: keep ``model_file`` beside robomimic's attribute of that name, compressed to
            an eighth. robomimic then trains on the file, and only its playback script misses it.

    Raises:
        OSError: the disk is full, or the file cannot be made.
    """
    with writing(path) as target:
        with interrupt_held_back():
            data = target.file.create_group("data")
            data.attrs["total"] = len(episode)
        write_demo(target, "demo_0", episode, images, compress_model=compress_model)


def write_demo(
    target: WritableHdf5,
    name: str,
    episode: Episode,
    images: CodecName | None,
    *,
    compress_model: bool = False,
) -> None:
    """Write one episode as the group ``data/<name>``.

    Raises:
        OSError: the disk is full.
    """
    demo = _write_all_but_images(target, name, episode, compress_model=compress_model)
    for feature, pictures in episode.images.items():
        codec = codec_of(pictures) if images is None else CODECS[images]
        _write_images(target, demo, robomimic_key(feature), pictures, codec)


@interrupt_held_back()
def _write_all_but_images(
    target: WritableHdf5, name: str, episode: Episode, *, compress_model: bool
) -> h5py.Group:
    data = target.file["data"]
    if "env_args" not in data.attrs:
        write_env_args(data, episode.context)
    demo = data.create_group(name)
    demo.attrs["num_samples"] = len(episode)
    if episode.context.model_file is not None and not compress_model:
        demo.attrs["model_file"] = episode.context.model_file
    for feature, values in episode.observations.items():
        _write(demo, robomimic_key(feature), values)
    _write(demo, robomimic_key(ACTION), episode.actions)
    _write(demo, "rewards", episode.rewards)
    dones = np.zeros(len(episode), np.uint8)
    dones[-1:] = 1
    _write(demo, "dones", dones)
    own = demo.create_group(OWN)
    description = replace(Description.of(episode), env_args={}, model_file=None)
    own.attrs[_DESCRIPTION] = description.to_json()
    if not np.array_equal(episode.actions, episode.actions_asked):
        _write(own, "actions_asked", episode.actions_asked)
    if episode.interventions.any():
        _write(own, "interventions", episode.interventions)
    _write(own, "success", episode.success)
    _write(own, "time", episode.time)
    _write_timestamps(own.create_group("timestamps"), episode.timestamps)
    if episode.context.model_file is not None and compress_model:
        _write(own, "model_file", np.frombuffer(episode.context.model_file.encode(), np.uint8))
    return demo


def write_env_args(data: h5py.Group, context: EpisodeContext) -> None:
    """Tell robomimic which environment the episodes are of."""
    data.attrs["env_args"] = json.dumps(dict(context.env_args))


def read_episode(path: Path, name: str = "demo_0", crc32: int | None = None) -> Episode:
    """Read one episode. Its images are read from the file when they are asked for.

    Args:
        path: of a file that robolearn, robomimic or robosuite wrote.
        name: of the group below ``data``.
        crc32: of the file, where it is known.

    Raises:
        DatasetError: it cannot be read, or does not fit together; names the file.
    """
    with reading(path, crc32) as file:
        demo = member(file, f"data/{name}")
        context = read_context(file, name)
        vectors = _Vectors()
        actions = vectors.read(demo, robomimic_key(ACTION))
        observations = {
            feature: vectors.read(demo, robomimic_key(feature))
            for feature, form in context.features.items()
            if not form.is_image
        }
        images = {
            feature: _read_images(path, member(demo, robomimic_key(feature)))
            for feature, form in context.features.items()
            if form.is_image
        }
        if not has(demo, OWN):
            rewards = vectors.read(demo, "rewards") if has(demo, "rewards") else None
            return undescribed(context, observations, images, actions, rewards)
        own = member(demo, OWN)
        description = _read_description(own)
        return Episode(
            context=context,
            observations=observations,
            images=images,
            actions=actions,
            actions_asked=(
                vectors.read(own, "actions_asked") if has(own, "actions_asked") else actions
            ),
            rewards=vectors.read(demo, "rewards"),
            success=vectors.read(own, "success"),
            interventions=(
                vectors.read(own, "interventions")
                if has(own, "interventions")
                else np.zeros(len(actions), bool)
            ),
            time=vectors.read(own, "time"),
            timestamps={
                feature: vectors.read(own, f"timestamps/{robomimic_key(feature)}")
                for feature in (*context.features, ACTION)
            },
            outcome=description.outcome,
            agent=description.agent,
            operator=description.operator,
            notes=description.notes,
            lost_images=description.lost_images,
            recorded_at=description.recorded_at,
        )


def read_summary(file: h5py.File, name: str, number: int, valid: bool) -> EpisodeSummary:
    """What is known of an episode without reading its frames.

    Raises:
        DatasetError: it cannot be told.
    """
    demo = member(file, f"data/{name}")
    frames = len(member(demo, robomimic_key(ACTION)))
    if has(demo, OWN):
        description = _read_description(member(demo, OWN))
        return EpisodeSummary(
            number=number,
            frames=frames,
            valid=valid,
            success=description.outcome.success,
            task=description.task,
            agent=description.agent,
            operator=description.operator,
            notes=description.notes,
            seed=description.seed,
        )
    rewards = _Vectors().read(demo, "rewards") if has(demo, "rewards") else None
    return EpisodeSummary(
        number=number,
        frames=frames,
        valid=valid,
        success=None if rewards is None else bool((rewards > 0).any()),
        task=str(_env_args(file).get("env_name", "")),
        agent="unknown",
    )


def read_context(file: h5py.File, name: str) -> EpisodeContext:
    """What holds for the whole episode; no frame is read.

    Raises:
        DatasetError: it is missing or damaged.
    """
    demo = member(file, f"data/{name}")
    env_args = _env_args(file)
    model_file = demo.attrs.get("model_file")
    if not has(demo, OWN):
        return EpisodeContext(
            features=_infer_features(demo),
            action=_infer_action(member(demo, robomimic_key(ACTION)), env_args),
            task=str(env_args.get("env_name", "")),
            rate=_infer_rate(env_args),
            env_args=env_args,
            model_file=model_file,
        )
    own = member(demo, OWN)
    if model_file is None and has(own, "model_file"):
        model_file = _Vectors().read(own, "model_file").tobytes().decode()
    return replace(_read_description(own).context, env_args=env_args, model_file=model_file)


class _Vectors:
    """Reads arrays of one episode until they take more memory than an episode can need."""

    def __init__(self) -> None:
        self._bytes = 0

    def read(self, group: h5py.Group, key: str) -> Array:
        """A whole array.

        Raises:
            DatasetError: there is none, or there are too many bytes of them.
        """
        dataset = member(group, key)
        if isinstance(dataset, h5py.Dataset) and dataset.shape:
            require_bounded(dataset, key)
            # A frame costs something, too, where it has no elements.
            self._bytes += dataset.nbytes + 8 * dataset.shape[0]
            if self._bytes > _MOST_BYTES:
                raise DatasetError(
                    f"{key} of shape {dataset.shape} is too much: the vectors of an episode take "
                    f"no more than {_MOST_BYTES >> 20} MiB of memory"
                )
        return array(group, key)


def _read_description(own: h5py.Group) -> Description:
    return Description.from_json(own.attrs[_DESCRIPTION])


def _env_args(file: h5py.File) -> dict[str, Any]:
    """As robomimic has them; robosuite's own collector writes them in other words."""
    attributes = member(file, "data").attrs
    if "env_args" not in attributes and "env" in attributes:
        return {
            "env_name": str(attributes["env"]),
            "env_version": str(attributes.get("repository_version", "")),
            "type": 1,
            "env_kwargs": _json_object(attributes.get("env_info", "{}"), "env_info"),
        }
    return _json_object(attributes.get("env_args", "{}"), "env_args")


def _json_object(text: Any, name: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise DatasetError(f"its {name} are no JSON object")
    return value


def _write(group: h5py.Group, key: str, values: Array) -> None:
    if values.size == 0:
        group.create_dataset(key, data=values)
    else:
        group.create_dataset(
            key,
            data=values,
            chunks=values.shape,
            compression="gzip",
            compression_opts=4,
            shuffle=True,
        )


def _write_images(
    target: WritableHdf5, demo: h5py.Group, key: str, images: Images, codec: Codec
) -> None:
    """One frame a chunk: h5py's own choice makes reading a frame hundreds of times slower."""
    height, width, channels = images.shape[1:]
    form = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    form.set_chunk((1, height, width, channels))
    form.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    match codec.name:
        case "lossless":
            form.set_filter(h5py.h5z.FILTER_LZF, h5py.h5z.FLAG_OPTIONAL)
        case "jpeg":
            colours = int(channels == 3)
            values = (JPEG_QUALITY, width, height, colours)
            form.set_filter(_JPEG_FILTER, h5py.h5z.FLAG_OPTIONAL, values)
        case "raw":
            pass
    dataset = _create(demo, key, images.shape, form)
    size = height * width * channels
    for frame, encoded in enumerate(encoded_frames(images, codec)):
        unfiltered = codec.name == "lossless" and len(encoded) == size
        with interrupt_held_back():
            dataset.write_direct_chunk((frame, 0, 0, 0), encoded, filter_mask=int(unfiltered))
        target.check()


@interrupt_held_back()
def _create(demo: h5py.Group, key: str, shape: tuple[int, ...], form: Any) -> Any:
    folder, _, name = key.rpartition("/")
    group = demo.require_group(folder) if folder else demo
    space = h5py.h5s.create_simple(shape)
    return h5py.h5d.create(group.id, name.encode(), h5py.h5t.STD_U8LE, space, form)


def _read_images(path: Path, dataset: h5py.Dataset) -> Images:
    """Images to be read later; nothing of them is read now."""
    key = dataset.name
    if dataset.ndim != 4 or dataset.dtype != np.uint8:
        raise DatasetError(
            f"{key} has frames of {dataset.dtype} {dataset.shape[1:]}, not uint8 images"
        )
    if 0 in dataset.shape[1:]:
        raise DatasetError(f"{key} has images of no size: {dataset.shape[1:]}")
    require_bounded(dataset, key)
    frame_shape = dataset.shape[1:]
    codec = _codec_of(dataset)
    if codec is None:
        return Hdf5Images(path, key, dataset.shape)
    if dataset.chunks is None:
        size = int(np.prod(frame_shape))
        begin = dataset.id.get_offset()
        if len(dataset) and begin is None:
            raise DatasetError(f"{key} holds no images")
        offsets = (begin or 0) + size * np.arange(len(dataset), dtype=np.int64)
        sizes = np.full(len(dataset), size, np.int64)
        return EncodedImages(Spans(path, offsets, sizes), codec, frame_shape)
    places = np.full((2, len(dataset)), -1, np.int64)

    def remember(chunk: Any) -> None:
        places[:, chunk.chunk_offset[0]] = chunk.byte_offset, chunk.size

    if len(dataset):
        dataset.id.chunk_iter(remember)
    if (places < 0).any():
        raise DatasetError(f"{key} lacks the image of frame {np.argmax(places[0] < 0)}")
    return EncodedImages(Spans(path, places[0], places[1]), codec, frame_shape)


def _codec_of(dataset: h5py.Dataset) -> Codec | None:
    """The codec under which each frame lies in one piece; None where it does not."""
    if dataset.chunks is None:
        return CODECS["raw"]
    if dataset.chunks != (1, *dataset.shape[1:]):
        return None
    form = dataset.id.get_create_plist()
    filters = [form.get_filter(index)[0] for index in range(form.get_nfilters())]
    known: dict[tuple[int, ...], CodecName] = {
        (): "raw",
        (h5py.h5z.FILTER_LZF,): "lossless",
        (_JPEG_FILTER,): "jpeg",
    }
    name = known.get(tuple(filters))
    return None if name is None else CODECS[name]


class Hdf5Images(StoredSequence):
    """(T, H, W, C) images that others chunked or compressed in their way; HDF5 reads them."""

    def __init__(self, path: Path, key: str, shape: tuple[int, ...]) -> None:
        super().__init__(shape)
        self._path = path
        self._key = key

    def _read(self, first: int, stop: int) -> Array:
        with reading(self._path) as file:
            images: Array = file[self._key][first:stop]
            return images


def _write_timestamps(group: h5py.Group, timestamps: Mapping[str, Array]) -> None:
    """Streams that were sensed at the same instants share one array."""
    written: list[tuple[Array, h5py.Dataset]] = []
    for name, times in timestamps.items():
        key = robomimic_key(name)
        same = next((dataset for other, dataset in written if np.array_equal(other, times)), None)
        if same is not None:
            group[key] = same
        else:
            _write(group, key, times)
            written.append((times, group[key]))


def _infer_features(demo: h5py.Group) -> Mapping[str, Feature]:
    """The layout itself has no schema: shapes are read off the arrays."""
    keys = [f"obs/{name}" for name in member(demo, "obs")] if has(demo, "obs") else []
    if has(demo, robomimic_key(SIMULATOR_STATE)):
        keys.append(robomimic_key(SIMULATOR_STATE))
    features = {}
    for key in keys:
        dataset = member(demo, key)
        features[feature_name(key)] = Feature(dataset.dtype.name, dataset.shape[1:])
    return features


def _infer_action(actions: h5py.Dataset, env_args: Mapping[str, Any]) -> ActionFeature:
    """robosuite's single arms have actions in [-1, 1] of which the last one is the gripper's."""
    if actions.ndim != 2:
        raise DatasetError(f"actions has frames of {actions.shape[1:]}, not vectors")
    size = actions.shape[1]
    is_robosuite = env_args.get("type") == 1
    return ActionFeature(
        dtype=actions.dtype.name,
        shape=(size,),
        low=(-1.0,) * size,
        high=(1.0,) * size,
        gripper=(size - 1,) if is_robosuite else (),
    )


def _infer_rate(env_args: Mapping[str, Any]) -> float:
    arguments = env_args.get("env_kwargs", {})
    rate = arguments.get("control_freq", _DEFAULT_RATE) if isinstance(arguments, dict) else None
    if not isinstance(rate, int | float) or not 0 < rate < float("inf"):
        raise DatasetError(f"its env_args have no positive control_freq: {rate!r:.40}")
    return float(rate)
