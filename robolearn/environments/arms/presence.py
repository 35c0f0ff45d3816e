"""The arm that a profile means, there to be connected."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from robolearn.environments.arms.profile import Arm, Device, Virtual
from robolearn.environments.arms.stage import Stage
from robolearn.environments.virtual_arm.virtual_arm import RunningArm, VirtualArm
from robolearn.errors import ConfigurationError, ShelfError

type Led = Literal["follower", "leader"]
"""Which arm a hand moves: the arm itself, or its leader."""

_CAMERA = "robolearn_virtual"
_CAMERA_MODULE = "robolearn.environments.virtual_arm.config_virtual_camera"


@dataclass(frozen=True)
class Present:
    """An arm that is there.

    Attributes:
        arm: with the ports, calibration and cameras that it has now.
        stage: what lies before it, if that is known.
        scripted: a scripted hand does the person's part.
    """

    arm: Arm
    stage: Stage | None = None
    scripted: bool = False


@contextlib.contextmanager
def present(arm: Arm, led: Led | None = None) -> Iterator[Present]:
    """Have an arm be there: a real one is, a virtual one is started where none runs.

    Args:
        arm: as its profile says.
        led: of a virtual arm, what the scripted hand moves; None for nothing.

    Raises:
        ShelfError: the profile does not fit a virtual arm.
        ConfigurationError: a virtual arm cannot be as the profile says.
        MissingDependency: something that a virtual arm needs is not installed.
        SimulationError: it does not start, or none runs in the profile's folder.
    """
    virtual = arm.profile.virtual
    if virtual is None:
        yield Present(arm)
        return
    from robolearn.environments.virtual_arm.stage import VirtualStage

    with _running(arm, virtual) as running:
        connected = _connected(arm, running)
        hand = None if led is None or virtual.hand == "nobody" else led
        yield Present(connected, VirtualStage(running, connected, hand), hand is not None)


def _running(arm: Arm, virtual: Virtual) -> RunningArm:
    if virtual.folder is not None:
        return RunningArm(Path(virtual.folder))
    try:
        return VirtualArm(0, virtual.cameras, virtual.height, virtual.width, virtual.fps)
    except ConfigurationError as error:
        raise ConfigurationError(f"{arm.path}: [virtual]: {error}") from error


def _connected(arm: Arm, running: RunningArm) -> Arm:
    """The profile with what only the running arm knows."""
    profile = arm.profile
    if profile.robot.type != "so101_follower":
        raise ShelfError(
            f"{arm.path}: the virtual arm is an so101_follower, not {profile.robot.type}"
        )
    cameras = {
        name: Device(
            _CAMERA,
            {
                "frames": str(camera.frames),
                "width": camera.width,
                "height": camera.height,
                "fps": camera.fps,
            },
        )
        for name, camera in running.cameras.items()
    }
    leader = profile.leader
    if leader is not None:
        device = _at(leader.device, "leader", running.leader_port, running)
        leader = replace(leader, device=device)
    return replace(
        arm,
        profile=replace(
            profile,
            robot=_at(profile.robot, "follower", running.follower_port, running),
            leader=leader,
            cameras={**profile.cameras, **cameras},
            modules=(*profile.modules, _CAMERA_MODULE),
        ),
    )


def _at(device: Device, name: str, port: str, running: RunningArm) -> Device:
    """A device of the virtual arm, whose calibration has its name."""
    place = {"port": port, "id": name, "calibration_dir": str(running.calibration_dir)}
    return replace(device, options={**device.options, **place})
