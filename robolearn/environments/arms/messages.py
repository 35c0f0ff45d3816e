"""What the process of the agent and the one that holds the arm tell each other."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import msgpack
import numpy as np

from robolearn.episodes.frames import Array

type Order = Literal["begin", "rest", "limp", "halt", "resume", "close"]
"""To the arm: an episode begins, so that silence is noticed; it is over, come to rest; be dragged
until the next order but ``begin``; come to rest and stay; go on; come to rest, and let go."""


@dataclass(frozen=True)
class Tick:
    """One control step of the arm.

    Attributes:
        heard: number of the last target that had come.
        time: when it was sent, s of the monotonic clock.
        sent: (J,) as float64 bytes; rad, m, shares.
        reasons: bits of `Reason`.
        joints: (J,) where they are, likewise.
        joints_time: when that was read.
        images: number of the latest image and when it came, by camera.
        halted: why the arm was brought to a halt; empty while it is not.
        at_rest: what is sent does not change.
        costs: seconds that the supervisor, writing and reading took.
        late: how long after its time this step began, s.
    """

    heard: int
    time: float
    sent: bytes
    reasons: int
    joints: bytes
    joints_time: float
    images: dict[str, tuple[int, float]]
    halted: str
    at_rest: bool
    costs: tuple[float, float, float]
    late: float

    def pack(self) -> bytes:
        """For the pipe."""
        packed: bytes = msgpack.packb({"tick": vars(self)})
        return packed


@dataclass(frozen=True)
class Connected:
    """The arm is there.

    Attributes:
        joints: (J,) where they are, as float64 bytes.
        cameras: shapes of the images, by name.
    """

    joints: bytes
    cameras: dict[str, tuple[int, ...]]

    def pack(self) -> bytes:
        """For the pipe."""
        packed: bytes = msgpack.packb({"connected": asdict(self)})
        return packed


@dataclass(frozen=True)
class Refused:
    """The arm cannot be driven.

    Attributes:
        kind: name of the error in `robolearn.errors`.
        text: in one line.
    """

    kind: str
    text: str

    def pack(self) -> bytes:
        """For the pipe."""
        packed: bytes = msgpack.packb({"refused": asdict(self)})
        return packed


_KINDS: dict[str, Any] = {"tick": Tick, "connected": Connected, "refused": Refused}


def unpacked(message: bytes) -> Tick | Connected | Refused:
    """What `pack` gave."""
    ((kind, content),) = msgpack.unpackb(message).items()
    told: Tick | Connected | Refused = _KINDS[kind](**content)
    return told


def packed_target(number: int, joints: Array) -> bytes:
    """Target ``number``, (J,)."""
    packed: bytes = msgpack.packb([number, joints.astype(np.float64).tobytes()])
    return packed


def packed_order(order: Order) -> bytes:
    """An order."""
    packed: bytes = msgpack.packb([order])
    return packed


def joints_of(values: bytes) -> Array:
    """(J,) float64."""
    return np.frombuffer(values, np.float64)
