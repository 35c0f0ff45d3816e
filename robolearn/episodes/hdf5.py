"""One episode in one HDF5 file of robomimic's layout.

``data/demo_0`` holds what robomimic defines (``obs/*``, ``actions``, ``rewards``, ``dones``,
``states``; the attributes ``num_samples`` and ``model_file``; ``env_args`` on ``data``). What that
layout lacks stands beside it in ``data/demo_0/robolearn``, where old readers do not look.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import h5py
import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from robolearn.episodes.episode import Episode
from robolearn.episodes.features import (
    ACTION,
    ActionFeature,
    Feature,
    feature_name,
    robomimic_key,
)
from robolearn.episodes.frames import Array, EpisodeContext, Outcome
from robolearn.errors import DatasetError

OWN = "robolearn"
"""Name of the group beside robomimic's arrays."""
_DESCRIPTION = "description"


def write_episode(episode: Episode, path: Path, *, compress_model: bool = False) -> None:
    """Write one episode to a new file, in the form that robomimic opens by itself.

    Args:
        episode: to write.
        path: of a file that does not exist.
        compress_model: keep ``model_file`` beside robomimic's attribute of that name, compressed to
            an eighth. robomimic then trains on the file, and only its playback script misses it.

    Raises:
        OSError: the disk is full, or the file cannot be made.
    """
    with hdf5_in_memory(path) as file:
        data = file.create_group("data")
        data.attrs["total"] = len(episode)
        data.attrs["env_args"] = json.dumps(episode.context.env_args)
        demo = data.create_group("demo_0")
        demo.attrs["num_samples"] = len(episode)
        if episode.context.model_file is not None and not compress_model:
            demo.attrs["model_file"] = episode.context.model_file
        for name, values in episode.observations.items():
            _write(demo, robomimic_key(name), values, episode.context.features[name].is_image)
        _write(demo, robomimic_key(ACTION), episode.actions)
        _write(demo, "rewards", episode.rewards)
        dones = np.zeros(len(episode), np.uint8)
        dones[-1:] = 1
        _write(demo, "dones", dones)
        own = demo.create_group(OWN)
        own.attrs[_DESCRIPTION] = json.dumps(asdict(_Description.of(episode)))
        if not np.array_equal(episode.actions, episode.actions_asked):
            _write(own, "actions_asked", episode.actions_asked)
        _write(own, "success", episode.success)
        _write(own, "time", episode.time)
        _write_timestamps(own.create_group("timestamps"), episode.timestamps)
        if episode.context.model_file is not None and compress_model:
            _write(own, "model_file", np.frombuffer(episode.context.model_file.encode(), np.uint8))


@contextlib.contextmanager
def hdf5_in_memory(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file that is built in memory and written at the end.

    The HDF5 library crashes the process when the disk is full; writing the finished bytes raises.

    Raises:
        OSError: the disk is full, or the file is there already.
    """
    with h5py.File(path, "w", driver="core", backing_store=False, libver="latest") as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    with path.open("xb") as target:
        target.write(image)


def read_episode(demo: h5py.Group) -> Episode:
    """Read one episode.

    Args:
        demo: the group ``data/demo_i`` of a file that robolearn, robomimic or robosuite wrote.

    Raises:
        DatasetError: what was read does not fit together.
        Exception: whatever h5py raises where arrays are missing or damaged.
    """
    context = read_context(demo)
    actions = _read(demo, robomimic_key(ACTION))
    observations = {name: _read(demo, robomimic_key(name)) for name in context.features}
    own = demo.get(OWN)
    if own is None:
        return _without_description(demo, context, observations, actions)
    description = _Description.read(own)
    return Episode(
        context=context,
        observations=observations,
        actions=actions,
        actions_asked=_read(own, "actions_asked") if "actions_asked" in own else actions,
        rewards=_read(demo, "rewards"),
        success=_read(own, "success"),
        time=_read(own, "time"),
        timestamps={
            name: _read(own, f"timestamps/{robomimic_key(name)}")
            for name in (*context.features, ACTION)
        },
        outcome=description.outcome,
        agent=description.agent,
        recorded_at=description.recorded_at,
    )


def _without_description(
    demo: h5py.Group, context: EpisodeContext, observations: dict[str, Array], actions: Array
) -> Episode:
    """An episode that robomimic or robosuite wrote: a reward is success, time is counted."""
    steps = len(actions)
    times = np.arange(steps) / context.rate
    rewards = _read(demo, "rewards") if "rewards" in demo else np.zeros(steps, np.float32)
    success = rewards > 0
    return Episode(
        context=context,
        observations=observations,
        actions=actions,
        actions_asked=actions,
        rewards=rewards,
        success=success,
        time=times,
        timestamps=dict.fromkeys((*context.features, ACTION), times),
        outcome=Outcome(
            steps,
            bool(success.any()) if "rewards" in demo else None,
            bool(success[-1:].any()) if "rewards" in demo else None,
            "horizon",
        ),
        agent="unknown",
        recorded_at=None,
    )


def read_context(demo: h5py.Group) -> EpisodeContext:
    """What holds for the whole episode; no frame is read."""
    data_attributes = demo.parent.attrs
    env_args = json.loads(data_attributes["env_args"]) if "env_args" in data_attributes else {}
    model_file = demo.attrs.get("model_file")
    if model_file is None and f"{OWN}/model_file" in demo:
        model_file = _read(demo[OWN], "model_file").tobytes().decode()
    if OWN in demo:
        description = _Description.read(demo[OWN])
        return EpisodeContext(
            features={
                name: Feature.from_json(feature) for name, feature in description.features.items()
            },
            action=ActionFeature.from_json(description.action),
            task=description.task,
            rate=description.rate,
            env_args=env_args,
            model_file=model_file,
            seed=description.seed,
        )
    return EpisodeContext(
        features=_infer_features(demo),
        action=_infer_action(demo["actions"], env_args),
        task=str(env_args.get("env_name", "")),
        rate=float(env_args.get("env_kwargs", {}).get("control_freq", 20.0)),
        env_args=env_args,
        model_file=model_file,
    )


@dataclass(frozen=True)
class _Description:
    """What the layout has no place for and is no array."""

    features: dict[str, Any]
    action: dict[str, Any]
    task: str
    rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    seed: int | None
    outcome: Outcome
    agent: str
    recorded_at: str | None

    @classmethod
    def of(cls, episode: Episode) -> _Description:
        context = episode.context
        return cls(
            features={name: feature.to_json() for name, feature in context.features.items()},
            action=context.action.to_json(),
            task=context.task,
            rate=context.rate,
            seed=context.seed,
            outcome=episode.outcome,
            agent=episode.agent,
            recorded_at=episode.recorded_at,
        )

    @classmethod
    def read(cls, own: h5py.Group) -> _Description:
        try:
            return TypeAdapter(cls).validate_json(own.attrs[_DESCRIPTION])
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise DatasetError(f"its description is damaged: {place}: {first['msg']}") from error


def _write(group: h5py.Group, key: str, values: Array, one_frame_a_chunk: bool = False) -> None:
    array = np.asarray(values)
    if array.size == 0:
        group.create_dataset(key, data=array)
    elif one_frame_a_chunk:
        # h5py's own choice of chunks makes random access to frames hundreds of times slower.
        group.create_dataset(key, data=array, chunks=(1, *array.shape[1:]), compression="lzf")
    else:
        group.create_dataset(
            key,
            data=array,
            chunks=array.shape,
            compression="gzip",
            compression_opts=4,
            shuffle=True,
        )


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


def _read(group: h5py.Group, key: str) -> Array:
    array: Array = group[key][()]
    return array


def _infer_features(demo: h5py.Group) -> Mapping[str, Feature]:
    """The layout itself has no schema: shapes are read off the arrays."""
    keys = [f"obs/{name}" for name in demo.get("obs", ())]
    if "states" in demo:
        keys.append("states")
    features = {}
    for key in keys:
        array = demo[key]
        features[feature_name(key)] = Feature(array.dtype.name, array.shape[1:])
    return features


def _infer_action(actions: h5py.Dataset, env_args: Mapping[str, Any]) -> ActionFeature:
    """robosuite's single arms have actions in [-1, 1] of which the last one is the gripper's."""
    size = actions.shape[1]
    is_robosuite = env_args.get("type") == 1
    return ActionFeature(
        dtype=actions.dtype.name,
        shape=(size,),
        low=(-1.0,) * size,
        high=(1.0,) * size,
        gripper=(size - 1,) if is_robosuite else (),
    )
