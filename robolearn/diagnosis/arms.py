"""What there is to drive an arm with, and whether a profile fits the arm that is connected."""

from __future__ import annotations

import contextlib
import grp
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from robolearn.diagnosis.finding import Check, Finding
from robolearn.errors import RobolearnError

_PORTS = ("ttyACM*", "ttyUSB*", "ttyAMA*", "cu.usbmodem*", "cu.usbserial*")
_CAMERAS = "video[0-9]*"
_DEVICES = Path("/dev")
_BY_ID = Path("/dev/serial/by-id")


def drivers() -> Iterator[Finding]:
    """What a real arm needs of libraries."""
    from importlib.util import find_spec

    needed = {"serial": "pyserial", "mink": "mink", "zmq": "pyzmq", "numba": "numba"}
    absent = [package for module, package in needed.items() if find_spec(module) is None]
    if absent:
        found = f"not installed: {', '.join(absent)}"
        yield Finding("drivers", "missing", found, "pip install 'robolearn[real]'")
    else:
        yield Finding("drivers", "ok", "LeRobot's, with pyserial")


def ports() -> Iterator[Finding]:
    """Serial ports, by the names that stay the same, and whether they may be used."""
    found = sorted(port for pattern in _PORTS for port in _DEVICES.glob(pattern))
    if not found:
        yield Finding("ports", "missing", "no serial port", "plug the arm in and switch it on")
    names = {path.resolve(): path for path in _BY_ID.glob("*")} if _BY_ID.is_dir() else {}
    for port in found:
        lasting = names.get(port)
        text = str(port) if lasting is None else f"{port}, always {lasting}"
        if os.access(port, os.R_OK | os.W_OK):
            yield Finding("port", "ok", text)
        else:
            yield Finding(
                "port",
                "error",
                f"{text} may not be used: you are not in the group {port.group()}",
                f"sudo usermod -aG {port.group()} $USER, and log in again",
            )


def cameras() -> Iterator[Finding]:
    """Cameras, as far as Linux names them; none is switched on."""
    if sys.platform != "linux":
        yield Finding("cameras", "ok", "lerobot-find-cameras lists them")
        return
    found = sorted(_DEVICES.glob(_CAMERAS), key=lambda path: (len(path.name), path.name))
    if not found:
        yield Finding("cameras", "missing", "no camera", "plug one in")
    for camera in found:
        label = Path("/sys/class/video4linux") / camera.name / "name"
        name = label.read_text(encoding="utf-8").strip() if label.is_file() else "a camera"
        if os.access(camera, os.R_OK | os.W_OK):
            yield Finding("camera", "ok", f"{camera}: {name}")
        else:
            group = _group(camera)
            yield Finding(
                "camera",
                "error",
                f"{camera}: {name} may not be used: you are not in the group {group}",
                f"sudo usermod -aG {group} $USER, and log in again",
            )


def _group(path: Path) -> str:
    try:
        return grp.getgrgid(path.stat().st_gid).gr_name
    except KeyError:
        return str(path.stat().st_gid)


class ProfileChecks:
    """What can be said of a profile, step by step.

    Args:
        target: ``real:NAME`` or the path of a profile.
        connect: look at the arm itself, too: that switches its motors on where it stands, and
            moves nothing.
    """

    def __init__(self, target: str, *, connect: bool) -> None:
        self._target, self._connect = target, connect

    def checks(self) -> tuple[Check, ...]:
        """In their order."""
        return (self.profile, self.arm) if self._connect else (self.profile,)

    def profile(self) -> Iterator[Finding]:
        """Whether it fits its driver, its model and its calibration files."""
        from robolearn.environments.arms.environment import context_of
        from robolearn.environments.arms.presence import present
        from robolearn.environments.arms.profile import load_arm

        try:
            with present(arm := load_arm(self._target)) as here:
                context = context_of(here.arm, here.stage)
        except RobolearnError as error:
            yield Finding("profile", "error", str(error))
            return
        tried = arm.profile.tried_on
        joints = ", ".join(arm.profile.names)
        yield Finding("profile", "ok", f"{arm.path}: {arm.profile.robot.type}, {joints}")
        yield Finding(
            "tried on",
            "ok" if tried == "hardware" else "warning",
            tried,
            "" if tried == "hardware" else "be ready to stop the arm by its own switch",
        )
        if arm.profile.workspace is None:
            yield Finding(
                "workspace",
                "warning",
                "no box, no planes, no limit of the tool's speed",
                "[model] and [workspace] in the profile, see docs/adding_an_arm.md",
            )
        cameras = [name for name, form in context.features.items() if form.is_image]
        yield Finding("observed", "ok", f"{len(arm.profile.names)} joints, {len(cameras)} cameras")

    def arm(self) -> Iterator[Finding]:
        """Whether the arm that is connected is the profile's; nothing is sent to its motors."""
        from robolearn.control.driving import measure
        from robolearn.environments.arms.environment import LeRobotEnvironment
        from robolearn.environments.arms.presence import present
        from robolearn.environments.arms.profile import load_arm

        with contextlib.ExitStack() as held:
            try:
                here = held.enter_context(present(arm := load_arm(self._target)))
                environment = LeRobotEnvironment(here.arm, moves=False, stage=here.stage)
                held.callback(environment.close)
                for joint, place in zip(arm.profile.joints, environment.joints, strict=True):
                    at = place / joint.factor
                    inside = joint.low <= at <= joint.high
                    yield Finding(
                        "joint",
                        "ok" if inside else "warning",
                        f"{joint.name} is at {at:.4g} {joint.unit}, limits {joint.low:g} to "
                        f"{joint.high:g}",
                        "" if inside else "it may only come in: move it by hand",
                    )
                latency = str(measure(environment))
                yield Finding("latency", "ok", latency.removeprefix("latency: "))
            except RobolearnError as error:
                yield Finding("arm", "error", str(error))
