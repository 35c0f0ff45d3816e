"""A person's own hands, tracked in space: a headset's controllers, bare hands, a phone.

The person's hand and the arm's need not be in one place: while the person squeezes (the clutch),
what the hand moves from where it was squeezed is what the arm's hand moves from where it was then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.spatial.transform import Rotation

from robolearn.agents.devices.device import HandDevice, HandMotion
from robolearn.agents.hand import Pose
from robolearn.episodes.frames import Array
from robolearn.errors import DeviceError

type Side = Literal["left", "right"]
type Held = Literal["clutch", "tracking", "jump", "stale", "lost", "reset"]
"""Why an arm holds still: nobody squeezes; the hand is not seen; it was somewhere else all at once;
its pose is old; nobody is connected; an episode began."""

SIDES: tuple[Side, ...] = ("right", "left")
"""In the order of the arms: robosuite puts the first of two on the right."""

STALE = 0.15
"""Seconds after which a pose is no longer followed."""

FURTHEST = 0.10
"""Metres that a hand moves from one pose to the next, at most: 6 m/s at 60 poses a second."""

WIDEST = 0.8
"""Radians that it turns, at most."""

_PRESSED, _RELEASED = 0.6, 0.4
"""Of a squeeze or a trigger; between them it stays what it was."""


@dataclass(frozen=True)
class HandSample:
    """One of the person's hands at one instant.

    Attributes:
        time: when it was there, seconds of this machine's monotonic clock.
        pose: along the world's axes, from any origin; None where it is not seen.
        squeeze: how far the clutch is pressed, 0 to 1.
        trigger: how far the gripper is closed, 0 to 1.
        frame: the turn about the vertical, rad, by which the person's directions became the
            world's, and the metres that an arm moves for each of the hand's.
    """

    time: float
    pose: Pose | None
    squeeze: float
    trigger: float
    frame: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Pull:
    """What a hand that squeezes asks for.

    Attributes:
        number: of the squeeze; another number begins from where the arm then is.
        moved: (3,) metres that the arm's hand is to be from where it was.
        turned: how the person's hand is turned now from how it was, about the world's axes.
        closed: whether the gripper is to be closed.
    """

    number: int
    moved: Array
    turned: Rotation
    closed: bool


class Clutch:
    """Follows one of the person's hands, and lets go when it should not be followed.

    What made it let go other than the person needs a new squeeze: the hand may be anywhere by then.
    """

    def __init__(self) -> None:
        self._last: HandSample | None = None
        self._anchor: Pose | None = None
        self._number = 0
        self._closed = False
        self._released = False
        self.held: Held | None = "lost"

    def update(self, sample: HandSample) -> None:
        """The hand is there now."""
        last, self._last = self._last, sample
        fault = _fault(last, sample)
        if fault is not None:
            self.let_go(fault)
        if sample.squeeze < _RELEASED:
            self._anchor = None
            self._released = True
            if sample.pose is not None:
                self.held = "clutch"
            return
        if sample.pose is None:
            return
        pressed = self._released and sample.squeeze > _PRESSED
        reframed = last is not None and last.frame != sample.frame
        if pressed or (reframed and self._anchor is not None):
            self._anchor = sample.pose
            self._number += 1
            self._released = False
            self.held = None
        if self._anchor is not None:
            self._closed = sample.trigger > (_RELEASED if self._closed else _PRESSED)

    def let_go(self, why: Held) -> None:
        """Follow it no more until it is squeezed anew."""
        if self.held in {None, "clutch"} or why == "lost":
            self.held = why
        self._anchor = None
        self._released = False

    def open(self) -> None:
        """Forget that the gripper was closed."""
        self._closed = False

    def pull(self, now: float) -> Pull | None:
        """What it asks for; None where the arm is to hold still.

        Args:
            now: seconds of the monotonic clock.
        """
        last = self._last
        if last is not None and now - last.time > STALE:
            self.let_go("stale")
        if self._anchor is None or last is None or last.pose is None:
            return None
        moved = last.frame[1] * (last.pose.position - self._anchor.position)
        turned = last.pose.rotation * self._anchor.rotation.inv()
        return Pull(self._number, moved, turned, self._closed)


class TrackedHands(HandDevice):
    """Moves each arm by one of the person's hands; a single arm by whichever squeezes.

    Poses come from another thread than that which asks for motions.

    Args:
        clock: seconds, as the samples' times.

    Attributes:
        arms: that were moved last.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._clutches: dict[Side, Clutch] = {side: Clutch() for side in SIDES}
        self._followers = [_Follower() for _ in SIDES]
        self._driving = SIDES[0]
        self.arms = 1

    def update(self, samples: Mapping[Side, HandSample]) -> None:
        """New poses of some hands."""
        with self._lock:
            for side, sample in samples.items():
                self._clutches[side].update(sample)

    def let_go(self, why: Held) -> None:
        """Hold all arms still until the person squeezes anew; grippers stay as they are."""
        with self._lock:
            for clutch in self._clutches.values():
                clutch.let_go(why)

    def held(self) -> dict[Side, Held | None]:
        """Why each hand moves nothing; None for one that does."""
        with self._lock:
            for clutch in self._clutches.values():
                clutch.pull(self._clock())
            return {side: clutch.held for side, clutch in self._clutches.items()}

    def reset(self) -> None:
        self.let_go("reset")
        with self._lock:
            self._followers = [_Follower() for _ in SIDES]
            for clutch in self._clutches.values():
                clutch.open()

    def motions(self, hands: Sequence[Pose], period: float) -> Sequence[HandMotion]:
        if len(hands) > len(SIDES):
            raise DeviceError(f"a person has two hands, and this robot has {len(hands)} arms")
        self.arms = len(hands)
        with self._lock:
            now = self._clock()
            pulls = {side: clutch.pull(now) for side, clutch in self._clutches.items()}
            if len(hands) == 1:
                if pulls[self._driving] is None:
                    self._driving = next((side for side in SIDES if pulls[side]), self._driving)
                sides: tuple[Side, ...] = (self._driving,)
            else:
                sides = SIDES
            return [
                follower.motion(hand, side, pulls[side])
                for follower, hand, side in zip(self._followers, hands, sides, strict=False)
            ]

    def close(self) -> None:
        self.let_go("lost")


class _Follower:
    """One arm: where its hand was when the person squeezed, and what its gripper does."""

    def __init__(self) -> None:
        self._begin: tuple[tuple[Side, int], Pose] | None = None
        self._closed = False

    def motion(self, hand: Pose, side: Side, pull: Pull | None) -> HandMotion:
        if pull is None:
            self._begin = None
            return HandMotion(np.zeros(6), self._closed)
        squeeze = (side, pull.number)
        if self._begin is None or self._begin[0] != squeeze:
            self._begin = (squeeze, hand)
        begin = self._begin[1]
        wanted = Pose(begin.position + pull.moved, pull.turned * begin.rotation)
        self._closed = pull.closed
        return HandMotion(hand.error(wanted), pull.closed)


def _fault(last: HandSample | None, sample: HandSample) -> Held | None:
    """What is wrong with a pose that comes after another."""
    if sample.pose is None:
        return "tracking"
    if last is None:
        return None
    if sample.time - last.time > STALE:
        return "stale"
    if last.pose is None or last.frame != sample.frame:
        return None
    far = float(np.linalg.norm(sample.pose.position - last.pose.position))
    wide = float((sample.pose.rotation * last.pose.rotation.inv()).magnitude())
    return "jump" if far > FURTHEST or wide > WIDEST else None
