"""The process that reads a gamepad, through SDL, which knows the layout of most of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from robolearn.agents.devices.sdl import FAILED, OPEN, import_pygame

_RATE = 100
_FULL = 32767.0

STICKS = ("LEFTX", "LEFTY", "RIGHTX", "RIGHTY", "TRIGGERLEFT", "TRIGGERRIGHT")
BUTTONS = (
    *("A", "B", "X", "Y", "BACK", "START", "LEFTSHOULDER", "RIGHTSHOULDER"),
    *("DPAD_UP", "DPAD_DOWN", "DPAD_LEFT", "DPAD_RIGHT"),
)

NONE_THERE = (
    "no gamepad is there: plug one in or pair it by Bluetooth; on Linux the user has to be in the "
    "group input, or a udev rule has to let everyone read it: "
    'SUBSYSTEM=="input", ATTRS{idVendor}=="045e", MODE="0666" (its own vendor instead of 045e)'
)


@dataclass(frozen=True)
class Sticks:
    """What a gamepad says now.

    Attributes:
        axes: (6,) of `STICKS`, −1 to 1; to the right and down are positive.
        held: of `BUTTONS`, those that are held.
    """

    axes: tuple[float, ...]
    held: frozenset[str]


@dataclass(frozen=True)
class ButtonPressed:
    """One of `BUTTONS` was pressed."""

    button: str


def run_gamepad(connection: Connection) -> None:
    """Tell `Sticks`, a hundred times a second, and `ButtonPressed`; end when the pad is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the program that started it ends it
    os.environ["SDL_VIDEODRIVER"] = "dummy"  # there is no window
    os.environ["SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS"] = "1"
    pygame = import_pygame(connection)
    if pygame is None:
        return
    pad = open_pad(pygame)
    if pad is None:
        connection.send((FAILED, NONE_THERE))
        return
    connection.send((OPEN, ""))
    clock = pygame.time.Clock()
    try:
        for message in messages(pygame, pad):
            connection.send(message)
            if isinstance(message, Sticks):
                clock.tick(_RATE)
    except OSError:
        return  # the program that started it has ended
    finally:
        connection.close()
        pygame.quit()


def open_pad(pygame: Any) -> Any:
    """The first gamepad; None where there is none."""
    from pygame._sdl2 import controller

    pygame.display.init()
    controller.init()
    pads = (number for number in range(controller.get_count()) if controller.is_controller(number))
    first = next(pads, None)
    return None if first is None else controller.Controller(first)


def messages(pygame: Any, pad: Any) -> Iterator[Sticks | ButtonPressed]:
    """What a pad does, until it is gone; each `Sticks` is what it says at that moment."""
    before: frozenset[str] = frozenset()
    axes = [getattr(pygame, f"CONTROLLER_AXIS_{name}") for name in STICKS]
    while True:
        pygame.event.pump()
        if not pad.attached():
            return
        held = _held(pygame, pad, BUTTONS)
        for button in sorted(held - before):
            yield ButtonPressed(button)
        before = held
        yield Sticks(tuple(max(pad.get_axis(axis) / _FULL, -1.0) for axis in axes), held)


def _held(pygame: Any, pad: Any, buttons: Sequence[str]) -> frozenset[str]:
    return frozenset(
        name for name in buttons if pad.get_button(getattr(pygame, f"CONTROLLER_BUTTON_{name}"))
    )
