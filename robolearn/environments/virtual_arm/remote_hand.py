"""The hand on an arm of a virtual arm that runs in another process."""

from __future__ import annotations

import functools
import time

import numpy as np

from robolearn.environments.virtual_arm.faults import ArmName
from robolearn.environments.virtual_arm.hand import Path
from robolearn.environments.virtual_arm.orders import Orders
from robolearn.environments.virtual_arm.picking import (
    Manner,
    Picker,
    minimum_jerk,
)
from robolearn.environments.virtual_arm.world import WorldState
from robolearn.episodes.frames import Array

_POLL = 0.02
_SAMPLES = 50

_LED_SQUEEZE = 0.05
"""rad; at LeRobot's gains the follower's gripper then stays below what counts as overload."""

_HELD_SQUEEZE = 0.02


class RemoteHand:
    """A person's hand, told what to do.

    Args:
        orders: to the emulator.
        arm: that it is on: ``leader``, or ``follower`` to drag it while its torque is off.
    """

    def __init__(self, orders: Orders, arm: ArmName) -> None:
        self._orders = orders
        self._arm = arm

    def follow(self, path: Path) -> None:
        """Take hold, lead the arm along a path, and hold it at its end."""
        self._orders.give(
            "follow", arm=self._arm, times=path.times.tolist(), joints=path.joints.tolist()
        )

    def go_to(self, joints: Array, seconds: float) -> None:
        """Lead the arm to (6,) joints, rad, in so many seconds.

        Raises:
            ConfigurationError: they are not six, or not finite, or the time is not above zero.
        """
        start = self.joints()
        share = np.linspace(0.0, 1.0, max(int(seconds * _SAMPLES), 2))
        way = np.asarray(joints, float).reshape(1, -1) - start
        self.follow(Path(share * seconds, start + minimum_jerk(share)[:, None] * way))

    def pick(self, seed: int | None = None) -> Path:
        """Pick the cube up, wherever it lies.

        Args:
            seed: of how a person varies; without one, as it is ordinarily done.

        Returns:
            The path that the hand is following now; `wait` waits for its end.

        Raises:
            SimulationError: the cube is out of reach.
            MissingDependency: mink is not installed.
        """
        manner = Manner() if seed is None else Manner.drawn(seed)
        held = self._arm == "follower"
        compliance = np.zeros(6) if held else np.array(self._orders.give("compliance"))
        squeeze = _HELD_SQUEEZE if held else _LED_SQUEEZE
        path = _picker().path(self.joints(), self._world(), manner, squeeze, compliance)
        self.follow(path)
        return path

    def joints(self) -> Array:
        """(6,) rad where the arm is."""
        state = self._world()
        return state.leader if self._arm == "leader" else state.follower

    def release(self) -> None:
        """Let go."""
        self._orders.give("release", arm=self._arm)

    @property
    def moving(self) -> bool:
        """Whether it is still under way."""
        return bool(self._orders.give("moving", arm=self._arm))

    def wait(self) -> None:
        """Until the path is at its end."""
        while self.moving:
            time.sleep(_POLL)

    def _world(self) -> WorldState:
        return WorldState.from_json(self._orders.give("state"))


@functools.cache  # it reads the arm's model, which stays as it is
def _picker() -> Picker:
    return Picker()
