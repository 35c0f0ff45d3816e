"""What passes through the control loop: one frame at a time, and what is known of its episode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from robolearn.episodes.features import ActionFeature, Feature

type Array = np.ndarray[Any, np.dtype[Any]]

IMAGE_QUALITY = "image_quality"
"""In ``env_args``: how images were rendered, ``fast`` or ``full``; without it they are full."""


@dataclass(frozen=True)
class Observation:
    """What is sensed at one instant. Its arrays are never written to again.

    Attributes:
        values: one array a feature, by feature name.
        timestamps: when each of them was sensed, by feature name, in seconds of this machine's
            monotonic clock.
        time: seconds of the environment's own clock since its reset; in a simulator this is
            simulated time.
        reward: of the step that led here, where the environment has one.
        success: whether the task is accomplished at this instant, where that can be told.
        terminated: the task is over, so that there is nothing to do from here.
        truncated: time is up by the environment's own count: the episode ends here, as it does at
            the horizon, and the task is not over.
        failed: the environment broke down (a simulation became unstable): the episode ends here,
            as failed. The values are the last that were sound.
    """

    values: Mapping[str, Array]
    timestamps: Mapping[str, float]
    time: float
    reward: float | None = None
    success: bool | None = None
    terminated: bool = False
    truncated: bool = False
    failed: bool = False

    @property
    def last(self) -> bool:
        """Whether the episode ends here."""
        return self.terminated or self.truncated or self.failed


@dataclass(frozen=True)
class Step:
    """One turn of the control loop: (o_t, a_t, o_{t+1}).

    Attributes:
        index: t, counted from 0.
        observation: o_t, which the agent saw.
        action_asked: (A,) what the agent asked for.
        action: (A,) what was really sent, after limits.
        action_timestamp: when it was sent, in seconds of the monotonic clock.
        next_observation: o_{t+1}; its reward and success are those of this step.
        intervention: a person or an expert drove instead of the policy.
    """

    index: int
    observation: Observation
    action_asked: Array
    action: Array
    action_timestamp: float
    next_observation: Observation
    intervention: bool = False


@dataclass(frozen=True)
class EpisodeContext:
    """What holds for a whole episode: who does what, where.

    Attributes:
        features: of the observations, by name.
        action: the action feature.
        task: the task in words.
        rate: control steps a second, Hz.
        env_args: robomimic's description of the environment: ``env_name``, ``type`` and
            ``env_kwargs``; `IMAGE_QUALITY` beside them, where its images are rendered.
        model_file: MJCF of the simulated world, where there is one, with asset paths that begin at
            the package that ships them.
        seed: what the episode was reset with.
    """

    features: Mapping[str, Feature]
    action: ActionFeature
    task: str
    rate: float
    env_args: Mapping[str, Any] = field(default_factory=dict)
    model_file: str | None = None
    seed: int | None = None


@dataclass(frozen=True)
class Outcome:
    """How an episode ended.

    Attributes:
        steps: control steps done.
        success: the task was accomplished at some step; None where that cannot be told.
        success_at_end: it was still accomplished at the last step.
        ended: ``horizon``: all steps were done, or time was up by the environment's own count;
            ``terminated``: the task was over;
            ``failed``: the environment broke down, which is no success whatever was before;
            ``interrupted``: by an exception or Ctrl-C, so that the episode is not whole.
    """

    steps: int
    success: bool | None
    success_at_end: bool | None
    ended: Literal["horizon", "terminated", "failed", "interrupted"]
