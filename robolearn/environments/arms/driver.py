"""A LeRobot robot in rad, m and shares, checked against its profile before it may move."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from robolearn.environments.arms.devices import PAUSE, described, make_robot, parts_of, patiently
from robolearn.environments.arms.profile import ArmProfile
from robolearn.environments.arms.units import LEROBOT_UNITS
from robolearn.episodes.frames import Array
from robolearn.errors import ArmError, ShelfError

_FAR_OUTSIDE = 0.2
"""Share of a joint's range that it may be outside of it: further, the profile or the calibration
is another arm's."""
_SWITCHES = 8
"""times that motors are told to be limp or to hold, until they say that they are: on a busy machine
answers are lost."""
_TORQUE = "Torque_Limit"
_FULL_TORQUE = 1000
"""Feetech's register, and what it says of all that a servo can."""


class Driver:
    """What talks to the motors. Nothing is connected before `connect`.

    Args:
        profile: of the arm.

    Raises:
        ShelfError: the driver has other joints, or counts in other units, than the profile says.
        MissingDependency: a library of the driver is not installed.
        ArmError: the driver cannot be made, or there is no calibration.

    Attributes:
        images: (H, W, C) of the cameras that belong to the robot itself, by name.
    """

    def __init__(self, profile: ArmProfile) -> None:
        self._profile = profile
        self._robot = make_robot(profile.robot, profile.modules)
        self._factors = profile.factors
        self.images: dict[str, tuple[int, ...]] = {
            name: tuple(form)
            for name, form in self._robot.observation_features.items()
            if isinstance(form, tuple)
        }
        self._require_joints()
        self._require_units()
        self._require_torque_limits()
        if profile.robot.calibrated:
            self._require_calibration_files()

    def connect(self) -> Array:
        """Connect, without moving anything.

        Returns:
            (J,) where the joints are.

        Raises:
            ArmError: it does not answer, or is calibrated otherwise than its file says, or a joint
                is far outside of its limits.
        """
        device = self._profile.robot
        try:
            patiently(self._connect, self._close_ports, PAUSE)
            if device.calibrated and not self._robot.is_calibrated:
                raise ArmError(self._other_calibration(self._robot))
        except ArmError:
            self.close(release=False)
            raise
        except Exception as error:  # drivers raise what they like
            self.close(release=False)
            raise ArmError(f"{device.type} does not connect: {described(error)}") from error
        for part in self._parts():
            if hasattr(getattr(part, "bus", None), "set_timeout"):
                # LeRobot waits for a second, in which the watchdog could do nothing.
                part.bus.set_timeout(int(1e3 * self._profile.watchdog.joints / 4))
        joints, _ = self.read()
        self._require_near(joints)
        return joints

    def read(self) -> tuple[Array, dict[str, Array]]:
        """(J,) where the joints are, and the images of the robot's own cameras.

        Raises:
            Exception: whatever the driver raises.
            ArmError: what it says is not finite.
        """
        observed = self._robot.get_observation()
        joints = np.array([observed[name] for name in self._profile.names], np.float64)
        joints *= self._factors
        if not np.isfinite(joints).all():
            raise ArmError(f"the joints are said to be at {joints}")
        return joints, {name: observed[name] for name in self.images}

    def write(self, joints: Array) -> None:
        """Send (J,) targets.

        Raises:
            Exception: whatever the driver raises.
        """
        values = (joints / self._factors).tolist()
        self._robot.send_action(dict(zip(self._profile.names, values, strict=True)))

    def relax(self) -> None:
        """Switch torque off: the arm is limp, and falls where nobody holds it.

        Raises:
            ArmError: the driver has nothing that could do that.
            Exception: whatever the driver raises.
        """
        for bus in self._buses():
            _switch_torque(bus, on=False)

    def stiffen(self) -> Array:
        """Switch torque on, where the joints are.

        Returns:
            (J,) which is there.

        Raises:
            Exception: whatever the driver raises.
        """
        for bus in self._buses():
            _hold_here(bus)
            _switch_torque(bus, on=True)
        return self.read()[0]

    def close(self, *, release: bool) -> None:
        """Disconnect.

        Args:
            release: let the driver switch the motors' torque off, if it is set to; otherwise they
                hold.
        """
        for part in (self._robot, *self._parts()):
            config: Any = getattr(part, "config", None)
            if not hasattr(config, "disable_torque_on_disconnect"):
                continue
            config.disable_torque_on_disconnect &= release
            if config.disable_torque_on_disconnect and hasattr(part, "bus"):
                # `disconnect` asks one motor after the other, and gives up at the first that
                # answers with an error, as a gripper does that squeezed something for long.
                with contextlib.suppress(Exception):
                    _switch_torque(part.bus, on=False)
        with contextlib.suppress(Exception):  # it is gone, or was never there
            self._robot.disconnect()
        self._close_ports()

    def _connect(self) -> None:
        for part in self._parts():
            if (bus := getattr(part, "bus", None)) is not None:
                self._hold(part, bus)
        self._robot.connect(calibrate=False)
        self._limit_torques()

    def _close_ports(self) -> None:
        for part in self._parts():
            with contextlib.suppress(Exception):  # it is closed
                part.bus.disconnect(disable_torque=False)

    def _buses(self) -> list[Any]:
        buses = [getattr(part, "bus", None) for part in self._parts()]
        if not all(hasattr(bus, "sync_write") for bus in buses):
            raise ArmError(
                f"{self._profile.robot.type} cannot be dragged: its driver does not let motors go "
                "limp"
            )
        return buses

    def _parts(self) -> list[Any]:
        return parts_of(self._robot)

    def _require_joints(self) -> None:
        names = set(self._profile.names)
        features = self._robot.action_features
        there = {name for name, form in features.items() if not isinstance(form, tuple)}
        if unknown := sorted(names - there):
            raise ShelfError(
                f"{self._profile.robot.type} has no joint {', '.join(unknown)}; it has "
                f"{', '.join(sorted(there))}"
            )
        if missing := sorted(there - names):
            raise ShelfError(
                f"the profile says nothing of the joint {', '.join(missing)} of "
                f"{self._profile.robot.type}"
            )
        if unseen := sorted(names - set(self._robot.observation_features)):
            raise ShelfError(
                f"{self._profile.robot.type} does not say where {', '.join(unseen)} is"
            )

    def _require_units(self) -> None:
        """As far as the driver says what it counts in."""
        motors = self._motors()
        for joint in self._profile.joints:
            unit: str = joint.unit
            if joint.name in motors:
                bus, name = motors[joint.name]
                unit = LEROBOT_UNITS.get(str(bus.motors[name].norm_mode.value), unit)
            if unit != joint.unit:
                raise ShelfError(
                    f"{joint.name} is counted in {unit} by {self._profile.robot.type}, and the "
                    f"profile says {joint.unit}"
                )

    def _motors(self) -> dict[str, tuple[Any, str]]:
        """Bus and name on it of each joint's motor, as far as the driver has buses."""
        found = {}
        for side, part in zip(("left_", "right_"), self._parts(), strict=False):
            bus = getattr(part, "bus", None)
            for name in getattr(bus, "motors", {}):
                found[f"{side if part is not self._robot else ''}{name}.pos"] = bus, name
        return found

    def _require_torque_limits(self) -> None:
        """That there is a register for each torque that the profile limits."""
        motors = self._motors()
        for joint in self._profile.joints:
            if joint.torque is None:
                continue
            bus, name = motors.get(joint.name, (None, ""))
            tables = getattr(bus, "model_ctrl_table", {})
            if bus is None or _TORQUE not in tables.get(bus.motors[name].model, {}):
                raise ShelfError(
                    f"{joint.name} has a limit of torque, which {self._profile.robot.type} does "
                    "not know: leave it out of the profile"
                )

    def _limit_torques(self) -> None:
        motors = self._motors()
        for joint in self._profile.joints:
            if joint.torque is not None:
                bus, name = motors[joint.name]
                share = int(joint.torque * _FULL_TORQUE)
                bus.write(_TORQUE, name, share, normalize=False, num_retry=3)

    def _require_calibration_files(self) -> None:
        for part in self._parts():
            path = getattr(part, "calibration_fpath", None)
            if path is not None and not path.is_file():
                raise ArmError(
                    f"{part.name} {part.id} has no calibration ({path}): lerobot-calibrate "
                    f"--robot.type={self._profile.robot.type} --robot.id={self._robot.id} "
                    "--robot.port=…"
                )

    def _other_calibration(self, part: Any) -> str:
        return (
            f"the motors of {part.name} {part.id} are calibrated otherwise than "
            f"{part.calibration_fpath} says: it is another arm's, or was made anew; "
            "lerobot-calibrate writes both"
        )

    def _hold(self, part: Any, bus: Any) -> None:
        """See that a part is calibrated, and that it will stay where it is.

        The driver switches torque on when it connects, and a servo goes then to the goal that it
        was left with.
        """
        bus.connect()
        try:
            if self._profile.robot.calibrated and not part.is_calibrated:
                raise ArmError(self._other_calibration(part))
            if hasattr(bus, "sync_read"):
                _hold_here(bus)
        finally:
            bus.disconnect(disable_torque=False)

    def _require_near(self, joints: Array) -> None:
        low, high = self._profile.si("low"), self._profile.si("high")
        outside = np.maximum(low - joints, joints - high) / (high - low)
        if (outside > _FAR_OUTSIDE).any():
            index = int(outside.argmax())
            joint = self._profile.joints[index]
            self.close(release=False)
            raise ArmError(
                f"{joint.name} is at {joints[index] / joint.factor:.4g} {joint.unit}, far outside "
                f"of its limits {joint.low:g} to {joint.high:g}: move it by hand, or mend the "
                "profile or the calibration"
            )


def _hold_here(bus: Any) -> None:
    """Make where the motors of a bus are their goal."""
    here = bus.sync_read("Present_Position", normalize=False, num_retry=2)
    bus.sync_write("Goal_Position", here, normalize=False)


def _switch_torque(bus: Any, *, on: bool) -> None:
    """All motors of a bus at once, by a write that no motor answers: none can stand in its way.

    Raises:
        Exception: whatever the bus raises.
        ArmError: a motor says that it is otherwise.
    """
    wanted = dict.fromkeys(bus.motors, int(on))
    for _ in range(_SWITCHES):
        bus.sync_write("Torque_Enable", wanted, normalize=False)
        try:
            if bus.sync_read("Torque_Enable", normalize=False) == wanted:
                return
        except ConnectionError:
            continue  # the write may have been lost as well as the answer
    raise ArmError(f"the motors do not say that their torque is {'on' if on else 'off'}")
