"""Hands moved by the sticks of a gamepad."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from robolearn.agents.devices.gamepad_process import ButtonPressed, Sticks, run_gamepad
from robolearn.agents.devices.rates import RateDevice
from robolearn.agents.devices.registry import Setting
from robolearn.agents.devices.requests import Request
from robolearn.agents.devices.sdl import SdlProcess
from robolearn.episodes.frames import Array
from robolearn.errors import DeviceError

_DEAD = 0.12
"""Share of a stick's way in which it counts as let go of: sticks do not return to the middle."""
_STALE = 0.25
"""Seconds after which nothing counts as held any more: the pad is read 100 times a second."""

REQUESTS: Mapping[str, Request] = {
    "START": Request.START,
    "Y": Request.KEEP,
    "DPAD_LEFT": Request.KEEP_FAILURE,
    "X": Request.DISCARD,
    "BACK": Request.REDO,
    "B": Request.STOP,
}


class GamepadButtons:
    """A gamepad beside another way to drive: its buttons begin, judge and stop.

    A pad that is gone stops: it may have been the one in the hand of who watches the arm.

    Args:
        setting: what it is made for.

    Raises:
        MissingDependency: pygame is not installed.
        DeviceError: there is no gamepad.
    """

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._pad = SdlProcess(run_gamepad, (), self._receive, self._lost)

    def close(self) -> None:
        """See `Buttons`."""
        self._pad.close()

    def _receive(self, message: Sticks | ButtonPressed) -> None:
        if isinstance(message, ButtonPressed) and message.button in REQUESTS:
            self._setting.ask(REQUESTS[message.button])

    def _lost(self) -> None:
        self._setting.say("the gamepad is gone, which stops")
        self._setting.ask(Request.STOP)


class Gamepad(RateDevice):
    """Moves hands by sticks: the left one across the table, the right one up and round.

    Args:
        setting: what it is made for.

    Raises:
        MissingDependency: pygame is not installed.
        DeviceError: there is no gamepad.
    """

    help = (
        "left stick  move      right stick  up and down, turn    A  gripper    B  stop at once",
        "triggers  tip    shoulders  roll    cross up, down  speed    cross right  other hand",
        "START  begin    Y  keep    cross left  keep as failed    X  throw away    BACK  once more",
    )

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting.context)
        self._ask = setting.ask
        self._newest = 0.0, Sticks((0.0,) * 6, frozenset())
        self._pad = SdlProcess(run_gamepad, (), self._receive)

    def rates(self, period: float) -> Array:
        if not self._pad.running:
            raise DeviceError("the gamepad is gone")
        told, sticks = self._newest
        if time.monotonic() - told > _STALE:
            return np.zeros(6)
        x, y, turn, rise, left, right = (_beyond_dead_zone(axis) for axis in sticks.axes)
        roll = ("RIGHTSHOULDER" in sticks.held) - ("LEFTSHOULDER" in sticks.held)
        return np.array([x, -y, -rise, right - left, roll, -turn])

    def close(self) -> None:
        self._pad.close()

    def _receive(self, message: Sticks | ButtonPressed) -> None:
        if isinstance(message, Sticks):
            self._newest = time.monotonic(), message
            return
        match message.button:
            case "A":
                self.grip()
            case "DPAD_UP" | "DPAD_DOWN":
                self.faster(1 if message.button == "DPAD_UP" else -1)
            case "DPAD_RIGHT":
                self.next_hand()
            case button if button in REQUESTS:
                self._ask(REQUESTS[button])


def _beyond_dead_zone(axis: float) -> float:
    """A stick's share, −1 to 1, gentler near the middle."""
    beyond = max(abs(axis) - _DEAD, 0.0) / (1.0 - _DEAD)
    return float(np.copysign(min(beyond, 1.0) ** 2, axis))
