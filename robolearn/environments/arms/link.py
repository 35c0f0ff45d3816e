"""The agent's side of the process that holds an arm."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
import time
from typing import Any

import numpy as np

from robolearn import errors
from robolearn.environments.arms.devices import make_camera
from robolearn.environments.arms.driver import Driver
from robolearn.environments.arms.feeds import ImageSlots
from robolearn.environments.arms.guard import guard
from robolearn.environments.arms.kinematics import joint_limits, joint_map, load_model
from robolearn.environments.arms.messages import (
    Connected,
    Order,
    Refused,
    Tick,
    joints_of,
    packed_order,
    packed_target,
    unpacked,
)
from robolearn.environments.arms.profile import Arm
from robolearn.episodes.frames import Array
from robolearn.errors import ArmError

_SECONDS_TO_CONNECT = 240.0
"""Importing and compiling take long on a machine that is busy."""
_SECONDS_TO_STOP = 15.0
_PRELOADED = ["robolearn.environments.arms.guard", "lerobot.robots", "lerobot.cameras"]
_SILENCE = 2.0
"""s without a control step after which the process that holds the arm counts as broken."""


class ArmLink:
    """Starts the process that holds an arm, and talks with it.

    Args:
        arm: which.
        moves: whether anything is sent to the motors.

    Raises:
        ShelfError: the profile does not fit its driver or its model.
        MissingDependency: a library is not installed.
        ArmError: the arm is absent, busy, calibrated otherwise, or does not answer.

    Attributes:
        shapes: of all cameras' images, by name.
        tick: what the arm did last.
    """

    def __init__(self, arm: Arm, *, moves: bool = True) -> None:
        self._rate = arm.profile.rate
        self.shapes = look_over(arm)
        # A server that has imported everything forks it: quicker from the second arm on.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOADED)
        memory = context.RawArray("B", ImageSlots.size(self.shapes))
        self._slots = ImageSlots(self.shapes, memory)
        self._channel, theirs = context.Pipe()
        self._process = context.Process(
            target=guard,
            args=(arm, self.shapes, memory, theirs, moves),
            name=f"arm {arm.target}",
        )
        self._number = 0
        self._sending = threading.Lock()
        self._closed = False
        self._process.start()
        theirs.close()
        try:
            self._await_connection()
            self.tick = self._next_tick(time.monotonic() + _SILENCE)
        except BaseException:
            self._channel.close()
            self._process.join(_SECONDS_TO_STOP)
            self._closed = True
            raise

    @property
    def process(self) -> int | None:
        """Its number."""
        return self._process.pid

    def order(self, order: Order) -> None:
        """Tell the arm something.

        Raises:
            ArmError: the process that holds it is gone.
        """
        self._send(packed_order(order))

    def send(self, joints: Array) -> Tick:
        """Ask for (J,) targets, and wait until the arm was sent what they became.

        Raises:
            ArmError: the process that holds the arm does not answer.
        """
        self._number += 1
        self._send(packed_target(self._number, joints))
        return self._wait(lambda tick: tick.heard >= self._number)

    def wait(self) -> Tick:
        """Wait for the next control step; raises as `send`."""
        before = self.tick.time
        return self._wait(lambda tick: tick.time > before)

    def settle(self) -> Tick:
        """Wait until all that was ordered has been obeyed; raises as `send`."""
        now = time.monotonic()
        self._wait(lambda tick: tick.time > now)  # it may have listened before
        return self.wait()

    def halt(self) -> Tick:
        """Bring the arm to rest, and wait until it is; raises as `send`."""
        self.order("halt")
        return self._wait(lambda tick: bool(tick.halted) and tick.at_rest, _SECONDS_TO_STOP)

    def image(self, camera: str) -> tuple[Array, float]:
        """(H, W, C) the latest image, and when it came."""
        number, arrived = self.tick.images[camera]
        return self._slots.read(camera, number), arrived

    def close(self, *, release: bool) -> None:
        """Let go of the arm. May be called twice.

        Args:
            release: the driver may switch torque off; otherwise the motors hold.
        """
        if self._closed:
            return
        self._closed = True
        if release:
            with contextlib.suppress(ArmError):
                self.order("close")
        else:
            self._channel.close()
        deadline = time.monotonic() + _SECONDS_TO_STOP
        while self._process.is_alive() and time.monotonic() < deadline:
            self._process.join(0.05)
            if release:  # what it says meanwhile must find room
                with contextlib.suppress(EOFError, OSError):
                    while self._channel.poll():
                        self._channel.recv_bytes()
        self._channel.close()

    def _send(self, message: bytes) -> None:
        try:
            with self._sending:  # a key stops the arm from a thread of its own
                self._channel.send_bytes(message)
        except OSError as error:
            raise ArmError(self._epitaph()) from error

    def _wait(self, wanted: Any, seconds: float = _SILENCE) -> Tick:
        deadline = time.monotonic() + seconds
        while True:
            tick = self._next_tick(deadline)
            if wanted(tick):
                return tick

    def _next_tick(self, deadline: float) -> Tick:
        """The latest that was told; waits for one that is new."""
        told: Tick | None = None
        while told is None or self._channel.poll():
            message = self._receive(deadline)
            if isinstance(message, Refused):
                raise _as_error(message)
            if isinstance(message, Tick):
                told = message
                self.tick = message
        return told

    def _await_connection(self) -> Array:
        message = self._receive(time.monotonic() + _SECONDS_TO_CONNECT)
        if isinstance(message, Refused):
            raise _as_error(message)
        if not isinstance(message, Connected):
            raise ArmError("the process that holds the arm said something else than that it does")
        return joints_of(message.joints)

    def _receive(self, deadline: float) -> Tick | Connected | Refused:
        try:
            if not self._channel.poll(max(deadline - time.monotonic(), 0.0)):
                raise ArmError("the process that holds the arm does not answer")
            return unpacked(self._channel.recv_bytes())
        except (EOFError, OSError) as error:
            raise ArmError(self._epitaph()) from error
        except (ValueError, KeyError, TypeError) as error:  # Ctrl-C came within a message
            raise ArmError("what the process that holds the arm says is cut in two") from error

    def _epitaph(self) -> str:
        self._process.join(1.0)
        return (
            f"the process that holds the arm has ended with {self._process.exitcode}; the motors "
            "hold what they were sent last"
        )


def look_over(arm: Arm) -> dict[str, tuple[int, ...]]:
    """Find what does not fit before anything is connected.

    Returns:
        (H, W, C) of the images of all cameras, by name.

    Raises:
        ShelfError: the profile fits neither driver nor model.
        MissingDependency: a library is not installed.
        ArmError: the driver cannot be made, or there is no calibration.
    """
    profile = arm.profile
    shapes = dict(Driver(profile).images)
    for name, device in profile.cameras.items():
        if name in shapes:
            raise errors.ShelfError(f"{profile.robot.type} has a camera {name} of its own")
        camera = make_camera(name, device, profile.modules)
        shapes[name] = (int(camera.height), int(camera.width), 3)
    model = load_model(arm)
    if model is not None:
        joint_map(arm, model)
    joint_limits(arm)
    return shapes


def _as_error(refused: Refused) -> errors.RobolearnError:
    kind: Any = getattr(errors, refused.kind, ArmError)
    error: errors.RobolearnError = kind(refused.text)
    return error


def sent_joints(tick: Tick) -> Array:
    """(J,) what a control step sent."""
    return np.array(joints_of(tick.sent))
