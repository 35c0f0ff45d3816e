"""The virtual arm from outside: start it, find its ports, look at the cube, and make trouble."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from robolearn.environments.rendering import require_gl
from robolearn.environments.virtual_arm.faults import ArmName, Fault, fault_message
from robolearn.environments.virtual_arm.model import CAMERAS
from robolearn.environments.virtual_arm.orders import Orders
from robolearn.environments.virtual_arm.remote_hand import RemoteHand
from robolearn.environments.virtual_arm.settings import (
    CALIBRATION,
    CONTROL,
    Settings,
    clear_folder,
)
from robolearn.environments.virtual_arm.world import WorldState
from robolearn.errors import ConfigurationError, FolderInUse, MissingDependency, SimulationError

if TYPE_CHECKING:
    from robolearn.environments.virtual_arm.config_virtual_camera import VirtualCameraConfig

_ENDING = 5.0
_LONGEST_SOCKET_PATH = 100


class RunningArm:
    """A virtual arm that runs already, in whichever process.

    Args:
        folder: of its ports.

    Attributes:
        folder: as given.
        calibration_dir: to be given to LeRobot, with the id ``follower`` or ``leader``.

    Raises:
        SimulationError: none runs there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calibration_dir = folder / CALIBRATION
        self._orders = Orders(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of it. May be called twice."""
        self._orders.close()

    @property
    def follower_port(self) -> str:
        """Path of the follower's serial port; the same after it was unplugged and plugged in."""
        return str(self.folder / "follower")

    @property
    def leader_port(self) -> str:
        """Path of the leader's serial port."""
        return str(self.folder / "leader")

    @property
    def cameras(self) -> dict[str, VirtualCameraConfig]:
        """LeRobot's configuration of each camera, by name."""
        from robolearn.environments.virtual_arm.config_virtual_camera import VirtualCameraConfig

        settings = self._orders.give("settings")
        return {
            name: VirtualCameraConfig(
                frames=self.folder / f"{name}.frames",
                fps=settings["fps"],
                width=settings["width"],
                height=settings["height"],
            )
            for name in settings["cameras"]
        }

    def reset(self, seed: int) -> None:
        """Put the cube where the seed says; the arms stay as they are."""
        self._orders.give("reset", seed=seed)

    def world(self) -> WorldState:
        """What an onlooker sees now."""
        return WorldState.from_json(self._orders.give("state"))

    @cached_property
    def hand(self) -> RemoteHand:
        """The hand that moves the leader."""
        return self.hand_on("leader")

    def hand_on(self, arm: ArmName) -> RemoteHand:
        """A hand on an arm: on the follower, to drag it while its torque is off."""
        return RemoteHand(self._orders, arm)

    def fault(self, fault: Fault) -> None:
        """Make something go wrong, until `repair`.

        Raises:
            ConfigurationError: a value of the fault does not fit.
        """
        self._orders.give("fault", **fault_message(fault))

    def repair(self) -> None:
        """Undo every fault: cables are plugged in, servos are cold. Who went limp stays so."""
        self._orders.give("repair")

    def pace(self) -> dict[str, float]:
        """How the physics kept up, in seconds: ``physics``, ``given_up``, and ``busy`` with it."""
        pace: dict[str, float] = self._orders.give("pace")
        return pace


class VirtualArm(RunningArm):
    """A virtual arm in a process of its own, which ends with this object or this process.

    Args:
        seed: of the cube's first place.
        cameras: that are rendered, ``front`` and ``wrist``; none is quicker.
        height: of their images, pixels.
        width: pixels.
        fps: frames a second.
        folder: that is made for the ports, and removed at the end; without it a temporary one.

    Raises:
        ConfigurationError: there is no such camera, or a number is out of its range.
        FolderInUse: the folder exists.
        MissingDependency: MuJoCo is not installed, nothing here can render, or the operating
            system has no pseudo-terminals.
        SimulationError: it does not start.
    """

    def __init__(
        self,
        seed: int = 0,
        cameras: Sequence[str] = tuple(CAMERAS),
        height: int = 240,
        width: int = 320,
        fps: int = 30,
        folder: Path | None = None,
    ) -> None:
        _check(seed, cameras, height, width, fps)
        folder = _made(folder)
        settings = Settings(str(folder), seed, tuple(cameras), height, width, fps)
        try:
            self._process = _started(settings)
        except BaseException:
            with contextlib.suppress(OSError):
                clear_folder(folder)
            raise
        try:
            super().__init__(folder)
        except BaseException:
            self._end()
            raise

    def close(self) -> None:
        """End it, and remove its folder. May be called twice."""
        super().close()
        self._end()

    @property
    def pid(self) -> int:
        """Of the emulator's process."""
        return self._process.pid

    def _end(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self.folder.exists():  # it was killed
            with contextlib.suppress(OSError):
                clear_folder(self.folder)


def _check(seed: int, cameras: Sequence[str], height: int, width: int, fps: int) -> None:
    for camera in cameras:
        if camera not in CAMERAS:
            raise ConfigurationError(
                f"the virtual arm has no camera {camera!r}; it has {', '.join(CAMERAS)}"
            )
    for name, value, low, high in (
        ("seed", seed, 0, 2**32 - 1),
        ("height", height, 16, 2160),
        ("width", width, 16, 3840),
        ("fps", fps, 1, 240),
    ):
        if not low <= value <= high:
            raise ConfigurationError(f"{name}: must be {low} to {high} (it is {value})")
    if platform.system() != "Linux":
        raise MissingDependency(
            "the virtual arm needs Linux, whose pseudo-terminals can be set to the servos' speed"
        )
    if cameras:
        require_gl()


def _made(folder: Path | None) -> Path:
    """A new folder for the ports, that only this user may enter."""
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="robolearn-arm-"))
    folder = folder.absolute()
    if len(str(folder)) > _LONGEST_SOCKET_PATH:
        raise ConfigurationError(f"{folder}: too long a path for a socket; choose a shorter one")
    try:
        folder.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        _take_over(folder)
    return folder


def _take_over(folder: Path) -> None:
    """Make a folder anew that an emulator left behind which was killed."""
    in_use = FolderInUse(
        f"{folder} exists: a virtual arm runs there, or it is something else; choose another"
    )
    if not (folder / CONTROL).is_socket():
        raise in_use
    try:
        Orders(folder).close()
    except SimulationError:
        try:
            clear_folder(folder)
        except OSError as error:
            raise in_use from error
        folder.mkdir(mode=0o700)
    else:
        raise in_use


def _started(settings: Settings) -> subprocess.Popen[str]:
    """The emulator's process, ready."""
    module = "robolearn.environments.virtual_arm.emulator"
    one_thread = {"OMP_NUM_THREADS": "1", "LP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", module, json.dumps(asdict(settings))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**one_thread, **os.environ},
        start_new_session=True,
    )
    if process.stdout is None:  # pragma: no cover - a pipe was asked for
        raise SimulationError("the virtual arm does not start")
    line = process.stdout.readline().strip()
    if line == "ready":
        return process
    process.communicate()  # it has ended, or is about to
    reason = line.removeprefix("error: ") or f"exit status {process.returncode}"
    raise SimulationError(f"the virtual arm does not start: {reason}")
