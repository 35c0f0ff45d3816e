"""Actions, states, reward and success over time."""

from __future__ import annotations

import rerun as rr

from robolearn.episodes.features import SIMULATOR_STATE, Feature
from robolearn.episodes.frames import EpisodeContext
from robolearn.viewing import entities
from robolearn.viewing.layers.layer import Layer, name_series, send_scalars
from robolearn.viewing.palette import (
    HAND,
    SUCCESS,
)
from robolearn.viewing.timeline import Clip


class Curves(Layer):
    """Actions, states, reward and success over time.

    A vector is one entity with many series, which is a third of the time and half of the size of
    one entity an element.

    Args:
        recording: in which the series get their names and colours.
        context: of the episodes.
    """

    def __init__(self, recording: rr.RecordingStream, context: EpisodeContext) -> None:
        action = context.action
        names = action.names or tuple(str(index) for index in range(action.shape[0]))
        self._parts = {
            path: list(indices)
            for path, indices in (
                (entities.ARM_ACTION, action.arm),
                (entities.GRIPPER_ACTION, action.gripper),
            )
            if indices
        }
        for path, indices in self._parts.items():
            name_series(recording, path, tuple(names[index] for index in indices))
        self._states = state_vectors(context)
        for name, feature in self._states.items():
            name_series(recording, entities.state(name), short_names(feature))
        name_series(recording, entities.SUCCESS, ("success",), [SUCCESS])
        name_series(recording, entities.REWARD, ("reward",), [HAND])

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        episode, columns = clip.episode, clip.columns()
        for path, indices in self._parts.items():
            send_scalars(recording, path, columns, episode.actions[:, indices])
        for name in self._states:
            send_scalars(recording, entities.state(name), columns, episode.observations[name])
        send_scalars(recording, entities.SUCCESS, columns, episode.success[:, None])
        send_scalars(recording, entities.REWARD, columns, episode.rewards[:, None])


def state_vectors(context: EpisodeContext) -> dict[str, Feature]:
    """The observation's vectors, by feature name, but for the simulator's own state."""
    return {
        name: feature
        for name, feature in context.features.items()
        if name != SIMULATOR_STATE and len(feature.shape) == 1 and feature.shape[0] > 0
    }


def short_names(feature: Feature) -> tuple[str, ...]:
    """Of a vector's elements, without what all of them begin with."""
    names = feature.names or tuple(str(index) for index in range(feature.shape[0]))
    stems = {name.rpartition(".")[0] for name in names}
    return tuple(name.rpartition(".")[2] for name in names) if len(stems) == 1 else names
