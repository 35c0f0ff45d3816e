"""Where an episode, or a part of one, lies on a recording's timelines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import rerun as rr

from robolearn.episodes.episode import Episode
from robolearn.episodes.frames import Array

TIME = "time"
"""Timeline in seconds of the environment's own clock, on through all episodes."""
FRAME = "frame"
"""Timeline that counts control steps through all episodes."""

_PAUSE = 0.5
"""Seconds between two episodes, so that one sees how one ended before the next begins."""


@dataclass(frozen=True)
class Clip:
    """One episode, or the frames of one that came since, and its place on the timelines.

    Attributes:
        number: of the episode in its dataset.
        episode: itself.
        start: of its first frame on the timeline `TIME`, s.
        first_frame: on the timeline `FRAME`.
        begins: its first frame is the first of an episode.
    """

    number: int
    episode: Episode
    start: float
    first_frame: int
    begins: bool = True

    @property
    def times(self) -> Array:
        """(T,) of the frames on the timeline `TIME`, s."""
        times: Array = self.start + (self.episode.time - self.episode.time[0])
        return times

    @property
    def end(self) -> float:
        """When the last step is over, s on the timeline `TIME`."""
        return float(self.times[-1]) + 1 / self.episode.context.rate

    def columns(self, frames: Sequence[int] | Array | None = None) -> list[rr.TimeColumn]:
        """What Rerun needs to place one value a frame.

        Args:
            frames: (F,) indices of the frames; None means all of them.
        """
        chosen = np.arange(len(self.episode)) if frames is None else np.asarray(frames)
        return [
            rr.TimeColumn(TIME, duration=self.times[chosen]),
            rr.TimeColumn(FRAME, sequence=self.first_frame + chosen),
        ]

    def after(self) -> list[rr.TimeColumn]:
        """What Rerun needs to place one value where the last step is over."""
        return [
            rr.TimeColumn(TIME, duration=[self.end]),
            rr.TimeColumn(FRAME, sequence=[self.first_frame + len(self.episode)]),
        ]


def lay_out(episodes: Iterable[tuple[int, Episode]]) -> Iterator[Clip]:
    """Give each episode its place after the one before.

    Args:
        episodes: with their numbers; one without frames is left out.
    """
    start, first_frame = 0.0, 0
    for number, episode in episodes:
        if not len(episode):
            continue
        clip = Clip(number, episode, start, first_frame)
        yield clip
        start = clip.end + _PAUSE
        first_frame += len(episode)
