"""The process in which the virtual arm lives: ports, physics, cameras, and orders from outside.

    python -m robolearn.environments.virtual_arm.emulator SETTINGS

SETTINGS is JSON (`Settings`). It says ``ready``, or ``error: …``, on standard output and lives
until its standard input is closed or its parent is gone; so it never outlives who started it.
Orders come through a Unix socket, one line of JSON each.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robolearn.environments.priority import go_first
from robolearn.environments.virtual_arm.bus import Bus
from robolearn.environments.virtual_arm.calibration import write_calibration
from robolearn.environments.virtual_arm.faults import (
    AnswerLate,
    DropBytes,
    FlipBits,
    FreezeCamera,
    LosePower,
    Overheat,
    Stall,
    Unplug,
    fault_from,
)
from robolearn.environments.virtual_arm.feed import CameraFeed
from robolearn.environments.virtual_arm.hand import Path as HandPath
from robolearn.environments.virtual_arm.model import JOINTS
from robolearn.environments.virtual_arm.port import SerialPort
from robolearn.environments.virtual_arm.servo import Servo
from robolearn.environments.virtual_arm.settings import (
    CALIBRATION,
    CONTROL,
    Settings,
    clear_folder,
)
from robolearn.environments.virtual_arm.world import World
from robolearn.errors import RobolearnError

_SLEEPIEST = 0.25
_GIVEN_UP = 0.1
"""Seconds that the physics may be behind before they are given up."""


class Emulator:
    """Both arms and their world, in real time.

    Args:
        settings: that it was started with.
    """

    def __init__(self, settings: Settings) -> None:
        folder = Path(settings.folder)
        self._world = World(settings.seed)
        for name, arm in self._world.arms.items():
            write_calibration(folder / CALIBRATION, name, arm.ranges)
        self._feed = (
            CameraFeed(
                self._world,
                folder,
                settings.cameras,
                settings.height,
                settings.width,
                settings.fps,
            )
            if settings.cameras
            else None
        )
        self._ports = {
            name: SerialPort(Bus(arm.servos), folder / name)
            for name, arm in self._world.arms.items()
        }
        self._stop = threading.Event()
        self._given_up = 0.0
        self._busy = 0.0
        self._orders: dict[str, Callable[..., Any]] = {
            "reset": self._reset,
            "state": self._state,
            "follow": self._follow,
            "release": self._release,
            "moving": self._moving,
            "fault": self._fault,
            "repair": self._repair,
            "pace": self._pace,
            "compliance": self._compliance,
            "settings": lambda: dataclasses.asdict(settings),
        }
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(folder / CONTROL))
        self._server.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def run(self) -> None:
        """Keep the physics in step with the clock, until `stop`."""
        due, period = time.perf_counter(), self._world.period
        while not self._stop.is_set():
            due += period
            left = due - time.perf_counter()
            if left > 0:
                time.sleep(min(left, _SLEEPIEST))
            elif left < -_GIVEN_UP:
                self._given_up -= left
                due -= left
            began = time.perf_counter()
            with self._world.lock:
                self._world.step()
            self._busy += time.perf_counter() - began

    def stop(self) -> None:
        """Have `run` return."""
        self._stop.set()

    def close(self) -> None:
        """Give the ports, the cameras and the socket back."""
        self._server.close()
        for port in self._ports.values():
            port.close()
        if self._feed is not None:
            self._feed.close()

    # Orders.

    def _reset(self, seed: int) -> None:
        with self._world.lock:
            self._world.reset(seed)

    def _state(self) -> dict[str, Any]:
        with self._world.lock:
            state = self._world.state()
        return state.to_json()

    def _follow(self, arm: str, times: list[float], joints: list[list[float]]) -> None:
        path = HandPath(np.array(times), np.array(joints).reshape(len(joints), -1))
        with self._world.lock:
            self._world.arms[arm].hand.follow(path, self._world.time)

    def _release(self, arm: str) -> None:
        with self._world.lock:
            self._world.arms[arm].hand.release()

    def _moving(self, arm: str) -> bool:
        with self._world.lock:
            return self._world.arms[arm].hand.moving(self._world.time)

    def _pace(self) -> dict[str, float]:
        return {"physics": self._world.time, "given_up": self._given_up, "busy": self._busy}

    def _compliance(self) -> list[float]:
        return [servo.compliance for servo in self._world.arms["follower"].servos]

    def _fault(self, **message: Any) -> None:
        fault = fault_from(message)
        match fault:
            case DropBytes():
                self._ports[fault.arm].line.lost = fault.probability
            case FlipBits():
                self._ports[fault.arm].line.flipped = fault.probability
            case AnswerLate():
                self._ports[fault.arm].line.late = fault.seconds
            case Overheat():
                self._servo(fault).heat(fault.temperature)
            case Stall():
                self._servo(fault).blocked = True
            case Unplug():
                self._ports[fault.arm].unplug()
            case LosePower():
                for servo in self._world.arms[fault.arm].servos:
                    servo.lose_power()
            case FreezeCamera():
                if self._feed is not None:
                    self._feed.frozen |= {fault.camera}

    def _servo(self, fault: Overheat | Stall) -> Servo:
        return self._world.arms[fault.arm].servos[JOINTS.index(fault.joint)]

    def _repair(self) -> None:
        """Undo every fault."""
        for name, arm in self._world.arms.items():
            line = self._ports[name].line
            line.lost = line.flipped = line.late = 0.0
            for servo in arm.servos:
                servo.heat(None)
                servo.blocked = False
                if not servo.powered:
                    servo.regain_power()
            self._ports[name].plug()
        if self._feed is not None:
            self._feed.frozen = frozenset()

    # The socket.

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # Whoever asks may be gone at any moment, with an answer on its way, too.
        with (
            contextlib.suppress(OSError),
            connection,
            connection.makefile("rw", encoding="utf-8") as lines,
        ):
            for line in lines:
                lines.write(json.dumps(self._obeyed(line)) + "\n")
                lines.flush()

    def _obeyed(self, line: str) -> Mapping[str, Any]:
        try:
            order = json.loads(line)
            return {"result": self._orders[order.pop("do")](**order)}
        except (RobolearnError, KeyError, TypeError, ValueError, AttributeError) as error:
            return {"error": f"{type(error).__name__}: {error}"}


def _watch_parent(emulator: Emulator) -> None:
    """Stop when standard input is closed, or another process has become the parent."""
    parent = os.getppid()
    while os.getppid() == parent:
        if select.select([0], [], [], 0.5)[0] and not os.read(0, 1):
            break
    emulator.stop()


def main() -> None:
    """Run an emulator as the command line says."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    sys.setswitchinterval(0.0005)
    go_first()
    settings = Settings(**json.loads(sys.argv[1]))
    try:
        emulator = Emulator(settings)
    except RobolearnError as error:
        sys.stdout.write(f"error: {error}\n")
        sys.exit(1)
    signal.signal(signal.SIGTERM, lambda *_: emulator.stop())
    threading.Thread(target=_watch_parent, args=(emulator,), daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    try:
        emulator.run()
    finally:
        emulator.close()
        with contextlib.suppress(OSError):
            clear_folder(Path(settings.folder))


if __name__ == "__main__":
    main()
