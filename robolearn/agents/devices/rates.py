"""What keys, sticks and a SpaceMouse have in common: the further they are pressed, the faster."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from robolearn.agents.devices.device import HandDevice, HandMotion
from robolearn.agents.devices.views import seen_from_camera
from robolearn.agents.hand import Pose, hands_of
from robolearn.episodes.frames import Array, EpisodeContext

FULL = np.array([0.25, 0.25, 0.25, 1.5, 1.5, 1.5])
"""Of full speed, m/s and rad/s."""

_LEAD = 0.05, 0.4
"""m and rad that what is asked for may be ahead of the hand, which lags behind what moves it."""

SPEEDS = (0.1, 0.2, 0.4, 0.7, 1.0)
"""Shares of full speed that a person can choose from."""


class RateDevice(HandDevice):
    """Moves one hand at a time, as fast as something is pressed.

    A hand lags behind what it is asked for, the more so the faster it is. So it is not asked to go
    on from where it is, but to a place that moves on at the speed asked for, and stays where it is
    when nothing is pressed.

    Args:
        context: of the environment that it drives.

    Attributes:
        hand: number of the one that is moved.
        speed: number of the one of `SPEEDS` that is chosen.
    """

    def __init__(self, context: EpisodeContext) -> None:
        self._hands = len(hands_of(context))
        self._seen = seen_from_camera(context.model_file)
        self.hand, self.speed = 0, 2
        self.reset()

    def reset(self) -> None:
        self._wanted: list[Pose | None] = [None] * self._hands
        self._closed = [False] * self._hands

    @abstractmethod
    def rates(self, period: float) -> Array:
        """(6,) shares from −1 to 1 of the chosen speed, as the person sees it.

        To the right, away from the person, up; then turns about these axes.

        Raises:
            DeviceError: the device is gone.
        """

    def motions(self, hands: Sequence[Pose], period: float) -> Sequence[HandMotion]:
        shares = np.clip(self.rates(period), -1.0, 1.0)
        if shares.any():
            way = self._seen.apply((shares * FULL * SPEEDS[self.speed] * period).reshape(2, 3))
            wanted = self._wanted[self.hand] or hands[self.hand]
            self._wanted[self.hand] = Pose(
                wanted.position + way[0], Rotation.from_rotvec(way[1]) * wanted.rotation
            )
        return [self._motion(number, hand) for number, hand in enumerate(hands)]

    def next_hand(self) -> None:
        """Move the next one of the hands from now on."""
        self.hand = (self.hand + 1) % self._hands

    def faster(self, steps: int) -> None:
        """Choose a speed that is so many steps higher."""
        self.speed = min(max(self.speed + steps, 0), len(SPEEDS) - 1)

    def grip(self, closed: bool | None = None) -> None:
        """Close the gripper, or open it; None does the other one."""
        self._closed[self.hand] = not self._closed[self.hand] if closed is None else closed

    def _motion(self, number: int, hand: Pose) -> HandMotion:
        wanted = self._wanted[number]
        if wanted is None:
            return HandMotion(np.zeros(6), self._closed[number])
        way = hand.error(wanted)
        for part, most in zip((way[:3], way[3:]), _LEAD, strict=True):
            length = np.linalg.norm(part)
            if length > most:
                part *= most / length
        # Something is in the hand's way where it falls behind: then the place waits for it.
        self._wanted[number] = Pose(
            hand.position + way[:3], Rotation.from_rotvec(way[3:]) * hand.rotation
        )
        return HandMotion(way, self._closed[number])
