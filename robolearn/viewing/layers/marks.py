"""Who drove, whether the task was done, and which limits were met: bands along the time."""

from __future__ import annotations

from collections.abc import Sequence

import rerun as rr

from robolearn.environments.safety.reasons import REASONS
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import SAFETY
from robolearn.viewing import entities
from robolearn.viewing.layers.layer import Layer
from robolearn.viewing.palette import AGENT, LIMIT, PERSON, SUCCESS, UNKNOWN, Color
from robolearn.viewing.timeline import Clip

_PERSON = "a person"
_DONE, _NOT_YET = "done", "not yet"
_FREE = "none"
_REASONS = [reason.text for reason in REASONS]


class Marks(Layer):
    """What holds for a while, told where it changes.

    Args:
        recording: in which states get their colours.
        agents: names of those who drive, beside a person who takes over.
        limits: whether it is told which limits changed an action.
    """

    def __init__(
        self, recording: rr.RecordingStream, agents: Sequence[str], *, limits: bool
    ) -> None:
        self._limits = limits
        self._shown: dict[str, str] = {}
        _color(
            recording,
            entities.DRIVER_MARK,
            {_PERSON: PERSON} | {agent: AGENT for agent in agents if agent != _PERSON},
        )
        _color(recording, entities.TASK_MARK, {_DONE: SUCCESS, _NOT_YET: UNKNOWN})
        if limits:
            _color(
                recording, entities.LIMITS_MARK, {_FREE: UNKNOWN, **dict.fromkeys(_REASONS, LIMIT)}
            )

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        episode = clip.episode
        if clip.begins:
            self._shown.clear()
        drivers = [_PERSON if taken else episode.agent for taken in episode.interventions]
        self._tell(recording, clip, entities.DRIVER_MARK, drivers)
        if episode.outcome.success is not None:
            done = [_DONE if reached else _NOT_YET for reached in episode.success]
            self._tell(recording, clip, entities.TASK_MARK, done)
        if self._limits:
            self._tell(recording, clip, entities.LIMITS_MARK, _met(episode))

    def _tell(
        self, recording: rr.RecordingStream, clip: Clip, path: str, states: Sequence[str]
    ) -> None:
        frames, changed = [], []
        for frame, state in enumerate(states):
            if self._shown.get(path) != state:
                self._shown[path] = state
                frames.append(frame)
                changed.append(state)
        if frames:
            rr.send_columns(
                path,
                clip.columns(frames),
                rr.StateChange.columns(state=changed),
                recording=recording,
            )


def _met(episode: Episode) -> list[str]:
    """At each frame, the first limit that changed the action that led to it."""
    return [
        next((text for text, met in zip(_REASONS, row, strict=False) if met), _FREE)
        for row in episode.observations[SAFETY]
    ]


def _color(recording: rr.RecordingStream, path: str, states: dict[str, Color]) -> None:
    recording.log(
        path,
        rr.StateConfiguration(
            values=list(states), labels=list(states), colors=[(*c, 255) for c in states.values()]
        ),
        static=True,
    )
