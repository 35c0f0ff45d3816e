"""How what goes to an environment and what comes from it lie in memory that is shared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from robolearn.control.vector_environment import VectorObservation
from robolearn.episodes.features import Feature
from robolearn.episodes.frames import Array, EpisodeContext, Observation


def row_type(context: EpisodeContext) -> np.dtype[Any]:
    """The element type of an array that has a row for each environment.

    A row is one piece of memory, so that workers write to pieces of their own. It holds what the
    environment is told (``chosen``, whether the command is for it; ``seed``; ``action``), what it
    was sent (``sent``), and what it observed (``seen``, with fields as `Observation` has them).
    """
    values = [(name, feature.dtype, feature.shape) for name, feature in context.features.items()]
    timestamps = [(name, "f8") for name in context.features]
    seen = [
        ("values", np.dtype(values, align=True)),
        ("timestamps", np.dtype(timestamps)),
        ("time", "f8"),
        ("reward", "f8"),
        ("reward_known", "?"),
        ("success", "?"),
        ("success_known", "?"),
        ("terminated", "?"),
        ("failed", "?"),
    ]
    action = context.action
    row = [
        ("chosen", "?"),
        ("seed", "i8"),
        ("action", action.dtype, action.shape),
        ("sent", action.dtype, action.shape),
        ("seen", np.dtype(seen, align=True)),
    ]
    return np.dtype(row, align=True)


def write_observation(
    seen: Array, index: int, observation: Observation, features: Mapping[str, Feature]
) -> None:
    """Put what one environment observed into its row.

    Args:
        seen: (N,) the field of that name.
        index: of the row.
        observation: to be written.
        features: of the observation, by name.

    Raises:
        DatasetError: a value has another shape than its feature.
        KeyError: a value is missing.
    """
    values, timestamps = seen["values"], seen["timestamps"]
    for name, feature in features.items():
        values[name][index] = feature.as_frame(observation.values[name])
        timestamps[name][index] = observation.timestamps[name]
    seen["time"][index] = observation.time
    seen["reward"][index] = observation.reward or 0.0
    seen["reward_known"][index] = observation.reward is not None
    seen["success"][index] = bool(observation.success)
    seen["success_known"][index] = observation.success is not None
    seen["terminated"][index] = observation.terminated
    seen["failed"][index] = observation.failed


def read_observation(seen: Array, lost: Array) -> VectorObservation:
    """A copy of what all environments observed.

    Args:
        seen: (N,) the field of that name.
        lost: (N,) bool.
    """
    values, timestamps = seen["values"], seen["timestamps"]
    return VectorObservation(
        values={name: values[name].copy() for name in values.dtype.names or ()},
        timestamps={name: timestamps[name].copy() for name in timestamps.dtype.names or ()},
        time=seen["time"].copy(),
        reward=seen["reward"].copy(),
        reward_known=seen["reward_known"].copy(),
        success=seen["success"].copy(),
        success_known=seen["success_known"].copy(),
        terminated=seen["terminated"].copy(),
        failed=seen["failed"].copy(),
        lost=lost.copy(),
    )
