"""The agent that a person drives by moving hands, with whatever device."""

from __future__ import annotations

import numpy as np

from robolearn.agents.devices.device import HandDevice, HandMotion
from robolearn.agents.hand import Pose, hands_of
from robolearn.agents.person import PersonAgent
from robolearn.episodes.frames import Array, EpisodeContext, Observation
from robolearn.errors import DeviceError

_JUMP = np.array([0.15, 0.15, 0.15, 1.0, 1.0, 1.0])
"""m and rad by which what is asked for cannot change between two control steps of a person."""

_NEAR = np.array([0.05, 0.05, 0.05, 0.3, 0.3, 0.3])
"""m and rad within which a hand that jumped has to come back before the arm follows it again."""


class HandTeleoperator(PersonAgent):
    """Moves each hand the way a person asks for, within what an action can ask for in one step.

    Where what is asked for jumps, because a headset lost its controller for example, the hand is
    held still until the two are near each other again, or the device begins anew with zeros.

    Args:
        device: that the person holds.
        context: of the environment that it drives.

    Raises:
        ShelfError: the environment's actions do not move hands.
    """

    def __init__(self, device: HandDevice, context: EpisodeContext) -> None:
        self._device, self._action = device, context.action
        self._hands = hands_of(context)
        self._period = 1 / context.rate
        self._lost = [False] * len(self._hands)
        self._last: list[Array] = [np.zeros(6) for _ in self._hands]
        self._next: list[HandMotion] | None = None
        self.notice = ""

    def reset(self, seed: int) -> None:
        self._device.reset()
        self._lost = [False] * len(self._hands)
        self._last = [np.zeros(6) for _ in self._hands]
        self._next, self.notice = None, ""

    def moved(self, observation: Observation) -> bool:
        """Whether the person moves something now; what is asked is done by the `act` that follows.

        Raises:
            DeviceError: the device is gone, or gives no numbers.
        """
        self._next = self._motions(observation)
        return any(motion.way.any() for motion in self._next)

    def act(self, observation: Observation) -> Array:
        """See `Agent`.

        Raises:
            DeviceError: the device is gone, or gives no numbers.
        """
        motions, self._next = self._next or self._motions(observation), None
        action = np.zeros(self._action.shape)
        for hand, motion in zip(self._hands, motions, strict=True):
            hand.put(action, motion.way, closed=motion.closed)
        return action.astype(self._action.dtype)

    def _motions(self, observation: Observation) -> list[HandMotion]:
        poses: list[Pose] = [hand.pose(observation) for hand in self._hands]
        motions = self._device.motions(poses, self._period)
        if len(motions) != len(self._hands):
            raise DeviceError(
                f"the device moves {len(motions)} hands, and the task has {len(self._hands)}"
            )
        held = [self._held(number, motion) for number, motion in enumerate(motions)]
        self.notice = "a hand jumped and is held still: bring it back" if any(self._lost) else ""
        return held

    def _held(self, number: int, motion: HandMotion) -> HandMotion:
        """The same motion, or none after a jump."""
        way = np.asarray(motion.way, np.float64)
        if way.shape != (6,) or not np.isfinite(way).all():
            raise DeviceError(f"the device gives no hand's way: {way}")
        if (np.abs(way - self._last[number]) > _JUMP).any():
            self._lost[number] = True
        elif self._lost[number] and (np.abs(way) < _NEAR).all():
            self._lost[number] = False
        self._last[number] = way
        return HandMotion(np.zeros(6), motion.closed) if self._lost[number] else motion
