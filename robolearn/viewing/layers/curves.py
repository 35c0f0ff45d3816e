"""Actions, states, reward and success over time.

A vector is one entity with many series, which is a third of the time and half of the size of one
entity an element.
"""

from __future__ import annotations

import numpy as np
import rerun as rr

from robolearn.episodes.features import SAFETY, SIMULATOR_STATE, Feature
from robolearn.episodes.frames import EpisodeContext
from robolearn.viewing import entities
from robolearn.viewing.layers.layer import Layer, name_series, send_scalars
from robolearn.viewing.palette import HAND, LEARNT, SUCCESS, element_colors, paler
from robolearn.viewing.timeline import Clip


class Actions(Layer):
    """What was sent and, where that differs from it, what was asked for.

    Args:
        recording: in which the series get their names and colours.
        context: of the episodes.
    """

    def __init__(self, recording: rr.RecordingStream, context: EpisodeContext) -> None:
        action = context.action
        names = action.names or tuple(str(index) for index in range(action.shape[0]))
        self._parts = [
            (sent, asked, list(indices))
            for sent, asked, indices in (
                (entities.ARM_ACTION, entities.ARM_ASKED, action.arm),
                (entities.GRIPPER_ACTION, entities.GRIPPER_ASKED, action.gripper),
            )
            if indices
        ]
        for sent, asked, indices in self._parts:
            chosen = tuple(names[index] for index in indices)
            colors = element_colors(chosen)
            name_series(recording, sent, chosen, colors)
            asked_names = tuple(f"{name} asked" for name in chosen)
            name_series(recording, asked, asked_names, [paler(color) for color in colors], 0.75)

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        episode, columns = clip.episode, clip.columns()
        for sent, asked, indices in self._parts:
            done, wanted = episode.actions[:, indices], episode.actions_asked[:, indices]
            send_scalars(recording, sent, columns, done)
            if not np.array_equal(done, wanted):
                send_scalars(recording, asked, columns, wanted)


class States(Layer):
    """What was sensed, but for images.

    Args:
        recording: in which the series get their names and colours.
        context: of the episodes.
    """

    def __init__(self, recording: rr.RecordingStream, context: EpisodeContext) -> None:
        self._states = state_vectors(context)
        for name, feature in self._states.items():
            name_series(recording, entities.state(name), short_names(feature))

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        columns = clip.columns()
        for name in self._states:
            values = clip.episode.observations[name]
            send_scalars(recording, entities.state(name), columns, values)


class Outcomes(Layer):
    """Success and the environment's own reward.

    Args:
        recording: in which the series get their names and colours.
    """

    def __init__(self, recording: rr.RecordingStream) -> None:
        name_series(recording, entities.SUCCESS, ("success",), [SUCCESS])
        name_series(recording, entities.REWARD, ("reward",), [HAND])

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        episode, columns = clip.episode, clip.columns()
        send_scalars(recording, entities.SUCCESS, columns, episode.success[:, None])
        send_scalars(recording, entities.REWARD, columns, episode.rewards[:, None])


class Rate(Layer):
    """Control steps a second, by the times at which they were done.

    Args:
        recording: in which the series gets its name and colour.
    """

    def __init__(self, recording: rr.RecordingStream) -> None:
        name_series(recording, entities.RATE, ("Hz",), [LEARNT])
        self._last: float | None = None

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        times = clip.times
        first = times[:1] if clip.begins or self._last is None else [self._last]
        self._last = float(times[-1])
        periods = np.diff(times, prepend=first)
        known = np.flatnonzero(periods > 0)
        if len(known):
            send_scalars(recording, entities.RATE, clip.columns(known), 1 / periods[known][:, None])


def state_vectors(context: EpisodeContext) -> dict[str, Feature]:
    """The observation's vectors, by feature name, but for the simulator's state and what limits."""
    return {
        name: feature
        for name, feature in context.features.items()
        if name not in {SIMULATOR_STATE, SAFETY}
        and len(feature.shape) == 1
        and feature.shape[0] > 0
    }


def short_names(feature: Feature) -> tuple[str, ...]:
    """Of a vector's elements, without what all of them begin with."""
    names = feature.names or tuple(str(index) for index in range(feature.shape[0]))
    stems = {name.rpartition(".")[0] for name in names}
    return tuple(name.rpartition(".")[2] for name in names) if len(stems) == 1 else names
