"""What a person can drive with, by the name that the user gives it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from robolearn.agents.devices.device import HandDevice
from robolearn.agents.devices.requests import Request
from robolearn.episodes.frames import EpisodeContext


@dataclass(frozen=True)
class Setting:
    """What a device is made for.

    Attributes:
        context: of the environment that it will drive.
        ask: told what the person presses, from any thread.
        say: tells the person something before it begins, such as an address; one line.
    """

    context: EpisodeContext
    ask: Callable[[Request], None]
    say: Callable[[str], None]


class Buttons(Protocol):
    """By which a person begins, judges and stops, without driving."""

    def close(self) -> None:
        """Let go of them. May be called twice."""


DEVICES: Mapping[str, str] = {
    "keyboard": "robolearn.agents.devices.keyboard:TerminalKeyboard",
    "window": "robolearn.agents.devices.window:Window",
    "mouse": "robolearn.agents.devices.window:Window",
    "gamepad": "robolearn.agents.devices.gamepad:Gamepad",
    "spacemouse": "robolearn.agents.devices.spacemouse:SpaceMouse",
    "vr": "robolearn.agents.devices.vr:over_network",
    "vr-usb": "robolearn.agents.devices.vr:over_usb",
}
"""Modules and names in them, imported when they are asked for. Each is called with a `Setting`,
gives a `HandDevice`, and raises ``DeviceError`` or ``MissingDependency`` where there is none."""

BUTTONS: Mapping[str, str] = {
    "page": "robolearn.agents.devices.vr:buttons_over_network",
    "gamepad": "robolearn.agents.devices.gamepad:GamepadButtons",
}
"""Likewise of what gives `Buttons`."""


def make_device(name: str, setting: Setting) -> HandDevice:
    """The device of a name in `DEVICES`.

    Raises:
        DeviceError: it is not there; the message says what to do.
        MissingDependency: its library is not installed.
        ShelfError: it cannot drive this environment.
    """
    device: HandDevice = _made(DEVICES[name], setting)
    return device


def make_buttons(name: str, setting: Setting) -> Buttons:
    """The buttons of a name in `BUTTONS`.

    Raises:
        DeviceError: they are not there; the message says what to do.
        MissingDependency: their library is not installed.
    """
    buttons: Buttons = _made(BUTTONS[name], setting)
    return buttons


def _made(place: str, setting: Setting) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(module), attribute)(setting)
