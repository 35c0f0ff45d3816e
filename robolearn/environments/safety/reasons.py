"""Why something else was sent than what was asked for."""

from __future__ import annotations

import enum
from collections.abc import Iterator

import numpy as np

from robolearn.episodes.features import SAFETY, Feature
from robolearn.episodes.frames import Array


class Reason(enum.IntFlag):
    """Bits, because several may hold at once."""

    NOT_FINITE = 1
    POSITION = 2
    VELOCITY = 4
    ACCELERATION = 8
    JERK = 16
    STEP = 32
    WORKSPACE = 64
    TOOL_SPEED = 128
    COLLISION = 256
    HALTED = 512

    @property
    def text(self) -> str:
        """In words, for people."""
        return _TEXTS[self]


_TEXTS = {
    Reason.NOT_FINITE: "an action that is not finite",
    Reason.POSITION: "a joint's range",
    Reason.VELOCITY: "a joint's velocity",
    Reason.ACCELERATION: "a joint's acceleration",
    Reason.JERK: "a joint's jerk",
    Reason.STEP: "the largest step",
    Reason.WORKSPACE: "the workspace",
    Reason.TOOL_SPEED: "the tool's speed",
    Reason.COLLISION: "a collision of the arm with itself",
    Reason.HALTED: "a halt",
}

REASONS: tuple[Reason, ...] = tuple(Reason)

_NAMES = tuple(str(reason.name).lower() for reason in REASONS)
SAFETY_FEATURE = Feature("uint8", (len(REASONS),), _NAMES)
"""``observation.safety``: 1 for each reason why the action that led here was changed."""


def reasons_in(bits: int) -> Iterator[Reason]:
    """The reasons that are set."""
    return (reason for reason in REASONS if bits & reason)


def as_frame(bits: int) -> Array:
    """(R,) of `SAFETY_FEATURE`."""
    return np.array([bool(bits & reason) for reason in REASONS], np.uint8)


def counted(frames: Array) -> dict[str, int]:
    """How many control steps were changed, by reason, those that occurred.

    Args:
        frames: (T, R) of an episode's feature ``observation.safety``.
    """
    sums = np.asarray(frames).sum(axis=0, dtype=np.int64).tolist()
    return {reason.text: count for reason, count in zip(REASONS, sums, strict=True) if count}


__all__ = ["REASONS", "SAFETY", "SAFETY_FEATURE", "Reason", "as_frame", "counted", "reasons_in"]
