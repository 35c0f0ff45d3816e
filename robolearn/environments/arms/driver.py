"""A LeRobot robot in rad, m and shares, checked against its profile before it may move."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from robolearn.environments.arms.devices import described, make_robot
from robolearn.environments.arms.profile import ArmProfile
from robolearn.environments.arms.units import LEROBOT_UNITS
from robolearn.episodes.frames import Array
from robolearn.errors import ArmError, ShelfError

_FAR_OUTSIDE = 0.2
"""Share of a joint's range that it may be outside of it: further, the profile or the calibration
is another arm's."""


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
            for part in self._parts():
                if (bus := getattr(part, "bus", None)) is not None:
                    self._hold(part, bus)
            self._robot.connect(calibrate=False)
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

    def close(self, *, release: bool) -> None:
        """Disconnect.

        Args:
            release: let the driver switch the motors' torque off, if it is set to; otherwise they
                hold.
        """
        if not release:
            for part in (self._robot, *self._parts()):
                if hasattr(getattr(part, "config", None), "disable_torque_on_disconnect"):
                    part.config.disable_torque_on_disconnect = False
        with contextlib.suppress(Exception):  # it is gone, or was never there
            self._robot.disconnect()

    def _parts(self) -> Iterator[Any]:
        """The arms of which the robot is made, or the robot itself."""
        parts = [getattr(self._robot, name, None) for name in ("left_arm", "right_arm")]
        yield from (part for part in parts if part is not None)
        if not any(parts):
            yield self._robot

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
        modes: dict[str, str] = {}
        for side, part in zip(("left_", "right_"), self._sides(), strict=False):
            motors = getattr(getattr(part, "bus", None), "motors", {})
            for name, motor in motors.items():
                modes[f"{side if part is not self._robot else ''}{name}.pos"] = str(
                    motor.norm_mode.value
                )
        for joint in self._profile.joints:
            unit = LEROBOT_UNITS.get(modes.get(joint.name, ""), joint.unit)
            if unit != joint.unit:
                raise ShelfError(
                    f"{joint.name} is counted in {unit} by {self._profile.robot.type}, and the "
                    f"profile says {joint.unit}"
                )

    def _sides(self) -> list[Any]:
        return list(self._parts())

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
                here = bus.sync_read("Present_Position", normalize=False, num_retry=2)
                bus.sync_write("Goal_Position", here, normalize=False)
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
