"""The process that holds an arm: nothing reaches the motors but through it.

It runs at the arm's rate by absolute deadlines. At each it takes the newest target that has come,
has the supervisor limit it, sends it, reads the joints, and tells what it did. It waits for nobody:
an agent that is stuck, stopped or gone cannot stop it. When an action, a reading of the joints or a
camera's image does not come in time, the arm is braked within its limits and held.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import msgpack
import numpy as np

from robolearn.environments.arms.claim import claimed_ports
from robolearn.environments.arms.devices import described, make_camera
from robolearn.environments.arms.driver import Driver
from robolearn.environments.arms.feeds import CameraFeed, ImageSlots
from robolearn.environments.arms.kinematics import make_supervisor
from robolearn.environments.arms.messages import Connected, Refused, Tick, joints_of
from robolearn.environments.arms.profile import Arm
from robolearn.environments.priority import go_first
from robolearn.environments.safety.reasons import Reason
from robolearn.environments.safety.supervisor import Supervisor
from robolearn.episodes.frames import Array
from robolearn.errors import ArmError, RobolearnError

_LONGEST_BRAKING = 10.0
"""s after which the process ends even if braking has not come to its end."""
_LONGEST_LIMP = 20.0
"""s after which an arm that was let go limp holds itself again, where no action has come."""
_SWITCH = 5e-4
"""s for which another thread may hold Python while a deadline passes."""


def guard(
    arm: Arm,
    shapes: dict[str, tuple[int, ...]],
    memory: Any,
    channel: Connection,
    moves: bool,
) -> None:
    """Hold an arm until told to let go, or left alone. Runs as a process.

    Args:
        arm: which.
        shapes: of the images of all cameras.
        memory: shared, of `ImageSlots.size`.
        channel: to the agent's process.
        moves: whether anything is sent to the motors.
    """
    os.setsid()  # Ctrl-C and Ctrl-Z in the terminal are for the agent's process
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    sys.setswitchinterval(_SWITCH)
    go_first()
    try:
        with (
            claimed_ports(arm.profile.robot.options),
            _feeds(arm, slots := ImageSlots(shapes, memory)) as feeds,
        ):
            supervisor = make_supervisor(arm)
            driver = Driver(arm.profile)
            joints = driver.connect()
            supervisor.reset(joints)
            release = False
            try:
                channel.send_bytes(Connected(joints.tobytes(), shapes).pack())
                holding = _Holding(arm, driver, supervisor, feeds, slots, channel, moves=moves)
                release = holding.run(joints)
            finally:
                driver.close(release=release)
    except RobolearnError as error:
        _tell(channel, Refused(type(error).__name__, str(error)))
    except (BrokenPipeError, ConnectionResetError):
        pass  # nobody is there any more
    except Exception as error:
        _tell(channel, Refused("ArmError", described(error)))


def _tell(channel: Connection, refused: Refused) -> None:
    with contextlib.suppress(OSError):
        channel.send_bytes(refused.pack())


@contextlib.contextmanager
def _feeds(arm: Arm, slots: ImageSlots) -> Iterator[dict[str, CameraFeed]]:
    """The cameras of the profile, at work."""
    profile = arm.profile
    feeds: dict[str, CameraFeed] = {}
    try:
        for name, device in profile.cameras.items():
            camera = make_camera(name, device, profile.modules)
            try:
                camera.connect()
            except Exception as error:  # drivers raise what they like
                raise ArmError(f"the camera {name} does not connect: {described(error)}") from error
            feeds[name] = CameraFeed(name, camera, slots)
        yield feeds
    finally:
        for feed in feeds.values():
            feed.close()


class _Holding:
    """The loop, and what it knows."""

    def __init__(
        self,
        arm: Arm,
        driver: Driver,
        supervisor: Supervisor,
        feeds: dict[str, CameraFeed],
        slots: ImageSlots,
        channel: Connection,
        *,
        moves: bool,
    ) -> None:
        self._profile = arm.profile
        self._driver, self._supervisor = driver, supervisor
        self._feeds, self._slots, self._channel = feeds, slots, channel
        self._moves = moves
        self._asked: Array | None = None
        self._heard = 0
        self._heard_at = time.monotonic()
        self._watching = self._closing = self._gone = self._limp = False
        self._halted = ""
        self._failure = ""
        self._own_images = 0
        self._reach = arm.profile.si("velocity") / arm.profile.rate * 1.001

    def run(self, joints: Array) -> bool:
        """Until told to let go, or left alone.

        Args:
            joints: (J,) where they are.

        Returns:
            Whether it was told to, so that the motors may be released.
        """
        period = 1 / self._profile.rate
        self._joints, self._joints_time = joints, time.monotonic()
        self._written = joints.copy()
        deadline = time.monotonic()
        leaving_since: float | None = None
        try:
            while True:
                deadline += period
                if (left := deadline - time.monotonic()) > 0:
                    time.sleep(left)
                late = time.monotonic() - deadline
                if late > period:
                    # A driver that hung: the motors have long reached what they were sent last.
                    self._supervisor.reset(self._supervisor.position)
                    deadline += late
                self._step(max(late, 0.0))
                if self._closing or self._gone:
                    leaving_since = leaving_since or time.monotonic()
                    if self._supervisor.at_rest and not self._limp:
                        return self._closing
                    if time.monotonic() - leaving_since > _LONGEST_BRAKING:
                        return False
        finally:
            self._stiffen()  # whatever ended it

    def _step(self, late: float) -> None:
        self._listen()
        self._watch()
        began = time.monotonic()
        asked = self._asked
        if self._limp and self._halted:
            self._stiffen()
        if self._limp:
            self._supervisor.reset(self._joints)
            sent, reasons = self._joints, 0
            self._written[:] = sent
        elif self._halted or self._closing or asked is None:
            sent, reasons = self._supervisor.brake(Reason.HALTED)
            reasons = reasons if self._halted else 0
        else:
            sent, reasons = self._supervisor.step(asked)
        limited = time.monotonic()
        if not self._limp:
            self._write(sent)
        written = time.monotonic()
        self._read()
        read = time.monotonic()
        self._publish(
            Tick(
                heard=self._heard,
                time=limited,
                sent=sent.tobytes(),
                reasons=reasons,
                joints=self._joints.tobytes(),
                joints_time=self._joints_time,
                images=self._images(),
                halted=self._halted,
                at_rest=self._supervisor.at_rest,
                costs=(limited - began, written - limited, read - written),
                late=late,
            )
        )

    def _listen(self) -> None:
        """Take all that was said; of targets, the last counts."""
        try:
            while self._channel.poll():
                content = msgpack.unpackb(self._channel.recv_bytes())
                if len(content) == 1:
                    self._obey(content[0])
                else:
                    number, values = content
                    self._heard, self._heard_at = number, time.monotonic()
                    if not self._halted:
                        self._asked = joints_of(values)
        except (EOFError, OSError):
            if not self._gone:
                self._gone = True
                self._halt("the agent's process is gone")

    def _obey(self, order: str) -> None:
        match order:
            case "begin":
                self._watching, self._heard_at = True, time.monotonic()
            case "rest":
                self._watching, self._asked = False, None
                self._stiffen()
            case "limp":
                self._relax()
            case "halt":
                self._halt("it was told to halt")
            case "resume":
                self._heard_at = time.monotonic()
                self._halted, self._failure = "", ""
                self._asked = None
            case "close":
                self._closing = True
                self._stiffen()

    def _relax(self) -> None:
        if self._limp or self._halted or not self._moves:
            return
        try:
            self._driver.relax()
        except Exception as error:  # drivers raise what they like
            self._failure = described(error)
            self._halt(f"the motors do not go limp: {self._failure}")
            return
        self._limp, self._asked, self._heard_at = True, None, time.monotonic()

    def _stiffen(self) -> None:
        """Hold where the arm was dragged to, if it was; tried again at each step until it does."""
        if not self._limp:
            return
        try:
            self._joints = self._driver.stiffen()
        except Exception as error:  # likewise
            self._failure = described(error)
            self._halted = self._halted or f"the motors do not hold: {self._failure}"
            return
        self._limp = False
        self._supervisor.reset(self._joints)
        self._written[:] = self._joints

    def _watch(self) -> None:
        """Halt where something that has to come does not."""
        if self._halted:
            return
        now, limits = time.monotonic(), self._profile.watchdog
        if now - self._joints_time > limits.joints:
            because = f": {self._failure}" if self._failure else ""
            self._halt(f"no reading of the joints for {now - self._joints_time:.2f} s{because}")
            return
        if now - self._heard_at > self._longest_silence():
            self._halt(f"no action for {now - self._heard_at:.2f} s")
            return
        if not self._watching:
            return
        for name, feed in self._feeds.items():
            if now - feed.latest[1] > limits.cameras:
                because = f": {feed.failure}" if feed.failure else ""
                self._halt(
                    f"no image of the camera {name} for {now - feed.latest[1]:.2f} s{because}"
                )
                return

    def _longest_silence(self) -> float:
        """s without an action that may be: somebody has to be there for what moves, or is limp."""
        if self._watching:
            return self._profile.watchdog.agent
        if self._limp:
            return _LONGEST_LIMP
        on_its_way = self._asked is not None and not self._supervisor.at_rest
        return self._profile.watchdog.agent if on_its_way else math.inf

    def _halt(self, because: str) -> None:
        self._halted = self._halted or because
        self._asked = None
        self._stiffen()

    def _write(self, sent: Array) -> None:
        # The supervisor has seen to this. Should it be mistaken, nothing jumps.
        if not (np.abs(sent - self._written) <= self._reach).all():
            self._halt(f"a target of {sent} after {self._written} was not sent")
            return
        self._written[:] = sent
        if not self._moves:
            return
        try:
            self._driver.write(sent)
        except Exception as error:  # drivers raise what they like
            self._failure = described(error)
            self._halt(f"the arm takes no target: {self._failure}")

    def _read(self) -> None:
        try:
            self._joints, own = self._driver.read()
            for name, image in own.items():
                self._slots.write(name, self._own_images + 1, np.asarray(image))
        except Exception as error:  # likewise
            self._failure = described(error)
            return
        self._joints_time = time.monotonic()
        self._own_images += 1

    def _images(self) -> dict[str, tuple[int, float]]:
        images = {name: feed.latest for name, feed in self._feeds.items()}
        return images | dict.fromkeys(self._driver.images, (self._own_images, self._joints_time))

    def _publish(self, tick: Tick) -> None:
        """Unless nobody listens: then there is no room, and the next one will do."""
        if self._gone:
            return
        try:
            _, writable, _ = select.select([], [self._channel], [], 0)
            if writable:
                self._channel.send_bytes(tick.pack())
        except OSError:
            self._gone = True
            self._halt("the agent's process is gone")
