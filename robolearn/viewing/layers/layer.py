"""What every layer of a recording is, and how its numbers get there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import rerun as rr

from robolearn.episodes.frames import Array
from robolearn.viewing.palette import (
    Color,
    element_colors,
)
from robolearn.viewing.timeline import Clip


class Layer(ABC):
    """Something that is shown of every episode."""

    @abstractmethod
    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        """Write what is to be seen of one episode. Called for each, in order."""

    def finish(self, recording: rr.RecordingStream) -> None:  # noqa: B027  most have nothing to do
        """Write what could not be known before the last episode, and free what was held."""


def name_series(
    recording: rr.RecordingStream,
    path: str,
    names: tuple[str, ...],
    colors: Sequence[Color] | None = None,
    width: float = 1.5,
) -> None:
    """Give the series of an entity their names, colours that fit the names or those given, and a
    width in points.
    """
    recording.log(
        path,
        rr.SeriesLines(
            names=names,
            colors=element_colors(names) if colors is None else colors,
            widths=[width] * len(names),
        ),
        static=True,
    )


def send_scalars(
    recording: rr.RecordingStream, path: str, columns: list[rr.TimeColumn], values: Array
) -> None:
    """Write (T, N) values as N series of one entity."""
    rr.send_columns(
        path,
        columns,
        rr.Scalars.columns(scalars=values.astype(np.float64).reshape(-1)).partition(
            [values.shape[1]] * len(values)
        ),
        recording=recording,
    )
