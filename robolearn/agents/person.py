"""What a person drives, by whatever means."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from robolearn.agents.agent import Agent
from robolearn.episodes.frames import Array, Observation

_MOVED = 0.08
"""rad, m and shares: 4.6° of a joint is more than it sways in a hand that only holds it."""


class PersonAgent(Agent):
    """An agent that a person is behind, who begins an episode by moving something.

    Attributes:
        notice: one line for the person; empty where all is well.
    """

    notice: str = ""

    @abstractmethod
    def moved(self, observation: Observation) -> bool:
        """Whether the person moves something now; asked at each step before the episode begins.

        Raises:
            DeviceError: a device is gone, or gives no numbers.
            ArmError: a leader arm does not answer.
        """


class Rest:
    """Where joints were held when it was first asked, which tells whether they have been moved."""

    def __init__(self) -> None:
        self._joints: Array | None = None

    def forget(self) -> None:
        """The next pose is where they are held."""
        self._joints = None

    def left(self, joints: Array) -> bool:
        """Whether any of (J,) joints, rad, m and shares, is elsewhere than it was held."""
        if self._joints is None:
            self._joints = np.array(joints)
        return bool((np.abs(joints - self._joints) > _MOVED).any())
