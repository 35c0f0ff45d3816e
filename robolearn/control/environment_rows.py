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
    seen = [
        ("values", np.dtype(values, align=True)),
        ("timestamps", "f8", (len(values),)),
        ("time", "f8"),
        ("reward", "f8"),
        ("reward_known", "?"),
        ("success", "?"),
        ("success_known", "?"),
        ("terminated", "?"),
        ("truncated", "?"),
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


class ObservationRows:
    """What environments observe, one row each: written by workers, read by the caller.

    Args:
        rows: (N,) of `row_type`.
        features: of an observation, by name.
    """

    def __init__(self, rows: Array, features: Mapping[str, Feature]) -> None:
        seen = rows["seen"]
        self._values = [(name, feature, seen["values"][name]) for name, feature in features.items()]
        self._timestamps = seen["timestamps"]
        self._time = seen["time"]
        self._reward, self._reward_known = seen["reward"], seen["reward_known"]
        self._success, self._success_known = seen["success"], seen["success_known"]
        self._terminated, self._truncated = seen["terminated"], seen["truncated"]
        self._failed = seen["failed"]

    def write(self, index: int, observation: Observation) -> None:
        """Put down what one environment observed.

        Raises:
            DatasetError: a value has another shape than its feature.
            KeyError: a value is missing.
        """
        for name, feature, rows in self._values:
            rows[index] = feature.as_frame(observation.values[name])
        self._timestamps[index] = [observation.timestamps[name] for name, _, _ in self._values]
        self._time[index] = observation.time
        self._reward[index] = observation.reward or 0.0
        self._reward_known[index] = observation.reward is not None
        self._success[index] = bool(observation.success)
        self._success_known[index] = observation.success is not None
        self._terminated[index] = observation.terminated
        self._truncated[index] = observation.truncated
        self._failed[index] = observation.failed

    def forget_rewards(self, which: Array) -> None:
        """The reward of these is not known.

        Args:
            which: (N,) bool.
        """
        self._reward[which] = 0.0
        self._reward_known[which] = False

    def read(self, lost: Array) -> VectorObservation:
        """A copy of all.

        Args:
            lost: (N,) bool, to go with it.
        """
        return VectorObservation(
            values={name: rows.copy() for name, _, rows in self._values},
            timestamps={
                name: self._timestamps[:, place].copy()
                for place, (name, _, _) in enumerate(self._values)
            },
            time=self._time.copy(),
            reward=self._reward.copy(),
            reward_known=self._reward_known.copy(),
            success=self._success.copy(),
            success_known=self._success_known.copy(),
            terminated=self._terminated.copy(),
            truncated=self._truncated.copy(),
            failed=self._failed.copy(),
            lost=lost.copy(),
        )
