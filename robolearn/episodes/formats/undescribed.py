"""Episodes that other programs wrote: what their files do not say."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ACTION
from robolearn.episodes.frames import Array, EpisodeContext, Outcome
from robolearn.episodes.images import Images


def undescribed(
    context: EpisodeContext,
    observations: Mapping[str, Array],
    images: Mapping[str, Images],
    actions: Array,
    rewards: Array | None = None,
) -> Episode:
    """An episode without description: a reward is success, and time is counted by the rate.

    Args:
        context: as far as it is known.
        observations: (T, ...) by feature name; all but the images.
        images: (T, H, W, C) by feature name.
        actions: (T, A).
        rewards: (T,); None where there are none, so that success is not known.

    Raises:
        DatasetError: the arrays do not fit together.
    """
    steps = len(actions)
    times = np.arange(steps) / context.rate
    success = np.zeros(steps, bool) if rewards is None else rewards > 0
    return Episode(
        context=context,
        observations=observations,
        images=images,
        actions=actions,
        actions_asked=actions,
        rewards=np.zeros(steps, np.float32) if rewards is None else rewards,
        success=success,
        interventions=np.zeros(steps, bool),
        time=times,
        timestamps=dict.fromkeys((*context.features, ACTION), times),
        outcome=Outcome(
            steps,
            None if rewards is None else bool(success.any()),
            None if rewards is None else bool(success[-1:].any()),
            "horizon",
        ),
        agent="unknown",
        recorded_at=None,
    )
