"""The agent that a person's hand drives through a device whose joints are those of the arm."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from robolearn.agents.person import PersonAgent, Rest
from robolearn.environments.arms.claim import claimed_ports
from robolearn.environments.arms.devices import (
    PAUSE,
    described,
    make_teleoperator,
    patiently,
)
from robolearn.environments.arms.profile import Arm
from robolearn.episodes.frames import Array, Observation
from robolearn.errors import ArmError, ShelfError


class TeleoperatorAgent(PersonAgent):
    """Sends the joints of a leader arm, as LeRobot's ``Teleoperator`` reads them, to the arm's.

    Args:
        arm: whose profile has a ``[leader]``.

    Attributes:
        towards: gives the action that brings the arm's joints to (J,); (J,) itself unless it is
            set.

    Raises:
        ShelfError: the profile has none, or the leader lacks a joint.
        MissingDependency: a library of the driver is not installed.
        ArmError: the leader is absent, busy, or not calibrated.
    """

    def __init__(self, arm: Arm) -> None:
        profile, leader = arm.profile, arm.profile.leader
        if leader is None:
            raise ShelfError(f"{arm.path} has no [leader]: it says which device a person moves")
        self.towards: Callable[[Array], Array] = lambda joints: joints.astype(np.float32)
        device = leader.device
        self._rest = Rest()
        self._keys = [leader.joints.get(name, name) for name in profile.names]
        self._factors = profile.factors
        self._teleoperator: Any = make_teleoperator(device, profile.modules)
        there = set(self._teleoperator.action_features)
        if missing := [key for key in self._keys if key not in there]:
            raise ShelfError(
                f"{device.type} has no joint {', '.join(missing)}; it has "
                f"{', '.join(sorted(there))}"
            )
        path = getattr(self._teleoperator, "calibration_fpath", None)
        if device.calibrated and path is not None and not path.is_file():
            raise ArmError(
                f"the leader {self._teleoperator.id} has no calibration ({path}): "
                f"lerobot-calibrate --teleop.type={device.type} "
                f"--teleop.id={self._teleoperator.id} --teleop.port=…"
            )
        with contextlib.ExitStack() as held:
            held.enter_context(claimed_ports(device.options))
            try:
                patiently(
                    lambda: self._teleoperator.connect(calibrate=False), self._close_port, PAUSE
                )
            except Exception as error:  # drivers raise what they like
                raise ArmError(f"the leader does not connect: {described(error)}") from error
            if device.calibrated and not self._teleoperator.is_calibrated:
                self._disconnect()
                raise ArmError(
                    f"the leader {self._teleoperator.id} is calibrated otherwise than {path} says: "
                    "lerobot-calibrate writes both"
                )
            self._held = held.pop_all()

    def reset(self, seed: int) -> None:
        self._rest.forget()

    def moved(self, observation: Observation) -> bool:
        return self._rest.left(self.pose())

    def act(self, observation: Observation) -> Array:
        return self.towards(self.pose())

    def pose(self) -> Array:
        """(J,) where the person holds the joints: rad, m and shares.

        Raises:
            ArmError: the leader does not answer.
        """
        try:
            values = patiently(self._teleoperator.get_action)
        except Exception as error:  # drivers raise what they like
            raise ArmError(f"the leader does not answer: {described(error)}") from error
        joints = np.array([values[key] for key in self._keys], np.float64)
        in_si: Array = joints * self._factors
        return in_si

    def close(self) -> None:
        """Let go of the device."""
        self._disconnect()
        self._held.close()

    def _disconnect(self) -> None:
        with contextlib.suppress(Exception):  # it is gone
            self._teleoperator.disconnect()
        self._close_port()

    def _close_port(self) -> None:
        with contextlib.suppress(Exception):  # it is closed, or has none
            self._teleoperator.bus.disconnect(disable_torque=False)
