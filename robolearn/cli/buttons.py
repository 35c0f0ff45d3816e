"""``--buttons``: further ways to begin, judge and stop, beside the keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from contextlib import ExitStack

    from robolearn.agents.devices.display import Display
    from robolearn.agents.devices.registry import Setting

type ButtonNames = Annotated[
    tuple[Literal["page", "gamepad"], ...], tyro.conf.arg(metavar="[page] [gamepad]")
]


def open_buttons(names: ButtonNames, setting: Setting, held: ExitStack) -> list[Display]:
    """Have them there, until ``held`` is closed.

    Returns:
        Those that show how it goes, too.

    Raises:
        DeviceError: they are not there; the message says what to do.
        MissingDependency: a library is not installed.
    """
    from robolearn.agents.devices.display import Display
    from robolearn.agents.devices.registry import make_buttons

    displays: list[Display] = []
    for name in dict.fromkeys(names):
        buttons = make_buttons(name, setting)
        held.callback(buttons.close)
        if isinstance(buttons, Display):
            displays.append(buttons)
    return displays
