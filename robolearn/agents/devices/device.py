"""The interface of everything that a person moves hands by, whatever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from robolearn.agents.hand import Pose
from robolearn.episodes.frames import Array


@dataclass(frozen=True)
class HandMotion:
    """What a person asks of one hand for one control step.

    Attributes:
        way: (6,) to go from where the hand is now: x, y, z in m, and a rotation vector in rad, both
            along the world's axes. Zeros hold it still.
        closed: whether the gripper is closed.
    """

    way: Array
    closed: bool


class HandDevice(ABC):
    """Something that a person holds.

    A device that gives rates (keys, sticks, a SpaceMouse) answers with rate times ``period``; one
    that gives poses (a headset's controllers, a phone, a leader arm's hand) with the way from the
    hand to where the person's hand wants it. What is lost, stale or let go of is zeros.

    Attributes:
        help: lines that tell the person what does what.
        reads_terminal: it takes the terminal's keys, all of them.
    """

    help: Sequence[str] = ()
    reads_terminal: bool = False

    @abstractmethod
    def reset(self) -> None:
        """An episode begins: nothing moves until the person moves something."""

    @abstractmethod
    def motions(self, hands: Sequence[Pose], period: float) -> Sequence[HandMotion]:
        """What is asked of each hand.

        Args:
            hands: where they are, one an arm, in the order of the robots.
            period: of a control step, seconds.

        Raises:
            DeviceError: the device is gone.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the device. May be called twice."""
