"""Calibrating an arm and its leader, by LeRobot's own procedure."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from robolearn.environments.arms.claim import claimed_ports
from robolearn.environments.arms.devices import (
    PAUSE,
    described,
    make_robot,
    make_teleoperator,
    parts_of,
    patiently,
)
from robolearn.environments.arms.profile import Arm
from robolearn.errors import ArmError


def calibrate(arm: Arm, wanted: Callable[[str], bool]) -> Iterator[str]:
    """Walk a person through it, for each arm of a profile that has a calibration.

    LeRobot switches the motors off, asks on the terminal to move the arm by hand, and writes what
    it found both into its file and into the motors.

    Args:
        arm: whose profile names them.
        wanted: asks whether to calibrate what it is told of.

    Yields:
        What was calibrated, in words.

    Raises:
        ArmError: an arm is absent or busy, or does not answer.
        ShelfError: the profile does not fit the driver.
        MissingDependency: a library of the driver is not installed.
    """
    profile = arm.profile
    devices = [(profile.robot, make_robot)]
    if profile.leader is not None:
        devices.append((profile.leader.device, make_teleoperator))
    for device, make in devices:
        if not device.calibrated:
            continue
        whole = make(device, profile.modules)
        for part in parts_of(whole):
            there = part.calibration_fpath.is_file()
            name = f"{part.name} {part.id}, which is {'' if there else 'not '}calibrated"
            if not wanted(name):
                continue
            with claimed_ports(device.options):
                _calibrate(part)
            yield f"{part.name} {part.id}: {part.calibration_fpath}"


def _calibrate(part: Any) -> None:
    bus: Any = getattr(part, "bus", None)
    try:
        if bus is None:
            part.connect(calibrate=False)
        else:
            patiently(bus.connect, lambda: _let_go(bus), PAUSE)
        part.calibrate()
    except Exception as error:  # drivers raise what they like
        raise ArmError(f"{part.name} {part.id} was not calibrated: {described(error)}") from error
    finally:
        _let_go(part if bus is None else bus)


def _let_go(connected: Any) -> None:
    """Close the port; motors stay as calibrating has left them, limp."""
    with contextlib.suppress(Exception):  # it is closed
        connected.disconnect(*([False] if hasattr(connected, "motors") else []))
