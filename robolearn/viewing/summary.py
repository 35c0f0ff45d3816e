"""What a report needs to know of a dataset's episodes, gathered in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ENVIRONMENT_STATE
from robolearn.episodes.frames import EpisodeContext

_POSITION = "_pos"
_RELATIVE = "_to_"
"""In robosuite's names of what is measured from the gripper, like ``gripper_to_cube_pos``."""


@dataclass(frozen=True)
class EpisodeSummary:
    """What is remembered of one episode.

    Attributes:
        frames: T.
        seconds: it took by the environment's clock.
        success: whether the task was accomplished at some step; None where that cannot be told.
        success_after: seconds until then; None where it was not.
        agent: who drove.
        starts: (x, y) in m where each object stood at the first frame, by the object's name.
    """

    frames: int
    seconds: float
    success: bool | None
    success_after: float | None
    agent: str
    starts: Mapping[str, tuple[float, float]]


def summarize(episodes: Iterable[Episode]) -> list[EpisodeSummary]:
    """Of each episode, in their order; one without frames is left out."""
    return [_summarize(episode) for episode in episodes if len(episode)]


def success_time(episode: Episode) -> float | None:
    """Seconds from the first frame until the task was accomplished; None where it was not."""
    reached = np.flatnonzero(episode.success)
    if not len(reached):
        return None
    # Whether a step succeeded is known when it is over.
    return float(episode.time[reached[0]] - episode.time[0]) + 1 / episode.context.rate


def object_positions(context: EpisodeContext) -> dict[str, tuple[int, int]]:
    """Where x and y of each object stand in the environment's state, by the object's name."""
    feature = context.features.get(ENVIRONMENT_STATE)
    if feature is None:
        return {}
    names = feature.names or ()
    return {
        stem.removesuffix(_POSITION): (names.index(f"{stem}.x"), names.index(f"{stem}.y"))
        for stem in dict.fromkeys(name.rpartition(".")[0] for name in names)
        if stem.endswith(_POSITION)
        and _RELATIVE not in stem
        and {f"{stem}.x", f"{stem}.y"} <= set(names)
    }


def _summarize(episode: Episode) -> EpisodeSummary:
    objects = object_positions(episode.context)
    first = episode.observations[ENVIRONMENT_STATE][0] if objects else None
    return EpisodeSummary(
        frames=len(episode),
        seconds=float(episode.time[-1] - episode.time[0]) + 1 / episode.context.rate,
        success=episode.outcome.success,
        success_after=success_time(episode),
        agent=episode.agent,
        starts={name: (float(first[x]), float(first[y])) for name, (x, y) in objects.items()}
        if first is not None
        else {},
    )
