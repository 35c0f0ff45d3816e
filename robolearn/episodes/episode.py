"""A whole episode in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robolearn.episodes.frames import Array, EpisodeContext, Outcome
from robolearn.errors import DatasetError


@dataclass(frozen=True)
class Episode:
    """T control steps, one after the other.

    Attributes:
        context: what holds for all of them.
        observations: (T, ...) by feature name, as the agent saw them.
        actions: (T, A) what was really sent.
        actions_asked: (T, A) what the agent asked for.
        rewards: (T,) of each step.
        success: (T,) whether the task was accomplished after each step.
        time: (T,) the environment's clock at each observation, s.
        timestamps: (T,) by feature name, ``action`` included; monotonic clock, s.
        outcome: how it ended.
        agent: who drove.
        recorded_at: when it began, ISO 8601 with the time zone; None where not known.

    Raises:
        DatasetError: an array does not fit its feature, or the lengths disagree.
    """

    context: EpisodeContext
    observations: Mapping[str, Array]
    actions: Array
    actions_asked: Array
    rewards: Array
    success: Array
    time: Array
    timestamps: Mapping[str, Array]
    outcome: Outcome
    agent: str
    recorded_at: str | None

    def __post_init__(self) -> None:
        features = {**self.context.features, "action": self.context.action}
        for name, values in (*self.observations.items(), ("action", self.actions)):
            feature = features[name]
            if values.shape[1:] != feature.shape or values.dtype != feature.dtype:
                raise DatasetError(
                    f"{name} has frames of {values.dtype} {values.shape[1:]}, "
                    f"not of {feature.dtype} {feature.shape}"
                )
        for name, values in (
            ("rewards", self.rewards),
            ("success", self.success),
            ("time", self.time),
            *self.timestamps.items(),
        ):
            if values.ndim != 1 or not np.isfinite(values).all():
                raise DatasetError(f"{name} is not one finite number a frame")
        lengths = {
            "actions": len(self.actions),
            "actions_asked": len(self.actions_asked),
            "rewards": len(self.rewards),
            "success": len(self.success),
            "time": len(self.time),
            **{name: len(values) for name, values in self.observations.items()},
            **{f"timestamps of {name}": len(values) for name, values in self.timestamps.items()},
        }
        for name, length in lengths.items():
            if length != len(self.actions):
                raise DatasetError(
                    f"{name} has {length} frames where actions has {len(self.actions)}"
                )

    def __len__(self) -> int:
        return int(np.shape(self.actions)[0])
