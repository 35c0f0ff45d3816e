"""The observer that records episodes."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import numpy as np

from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ACTION
from robolearn.episodes.frames import Array, EpisodeContext, Outcome, Step


class Recorder:
    """Keeps every frame of an episode and hands the whole episode on when it is over.

    An episode that broke off is handed to nobody.

    Args:
        keep: called with each whole episode.
        agent: who drives; recorded with the episode.
    """

    def __init__(self, keep: Callable[[Episode], None], agent: str) -> None:
        self._keep = keep
        self._agent = agent
        self._context: EpisodeContext | None = None
        self._steps: list[Step] = []
        self._recorded_at = ""

    def on_reset(self, context: EpisodeContext) -> None:
        self._context = context
        self._steps = []
        self._recorded_at = datetime.datetime.now().astimezone().isoformat(timespec="seconds")

    def on_step(self, step: Step) -> None:
        self._steps.append(step)

    def on_end(self, outcome: Outcome) -> None:
        if outcome.ended != "interrupted" and self._context is not None and self._steps:
            self._keep(self._episode(self._context, outcome))

    def _episode(self, context: EpisodeContext, outcome: Outcome) -> Episode:
        steps = self._steps
        return Episode(
            context=context,
            observations={
                name: np.stack([step.observation.values[name] for step in steps])
                for name in context.features
            },
            actions=np.stack([step.action for step in steps]),
            actions_asked=np.stack([step.action_asked for step in steps]),
            rewards=np.array([step.next_observation.reward or 0.0 for step in steps], np.float32),
            success=np.array([bool(step.next_observation.success) for step in steps]),
            time=np.array([step.observation.time for step in steps]),
            timestamps=_timestamps(context, steps),
            outcome=outcome,
            agent=self._agent,
            recorded_at=self._recorded_at,
        )


def _timestamps(context: EpisodeContext, steps: list[Step]) -> dict[str, Array]:
    return {
        **{
            name: np.array([step.observation.timestamps[name] for step in steps])
            for name in context.features
        },
        ACTION: np.array([step.action_timestamp for step in steps]),
    }
