"""Hands moved by the keys of a terminal."""

from __future__ import annotations

import contextlib
import time

from robolearn.agents.devices.keys import HELP, MOTIONS, Keyboard
from robolearn.agents.devices.registry import Setting
from robolearn.agents.devices.terminal import TerminalKeys
from robolearn.episodes.frames import Array
from robolearn.errors import DeviceError

_HOLD = 0.15
"""Seconds for which a pressed key moves the hand, as nobody tells when it is let go. A key that is
held is told again after a twentieth of a second or so."""


class TerminalKeyboard(Keyboard):
    """Moves hands by keys that are pressed in a terminal, also over ssh.

    A key moves the hand for a short time, and on and on while it is held.

    Args:
        setting: what it is made for.

    Raises:
        DeviceError: standard input is no terminal.
    """

    help = HELP
    reads_terminal = True

    def __init__(self, setting: Setting) -> None:
        self._until: dict[str, float] = {}
        self._new: set[str] = set()
        super().__init__(setting.context, setting.ask)
        self._held = contextlib.ExitStack()
        self._keys = self._held.enter_context(TerminalKeys(self._pressed))
        if not self._keys.listening:
            raise DeviceError(
                "--by keyboard reads keys from a terminal, and standard input is none: run it in "
                "one (ssh -t), or take --by window"
            )

    def reset(self) -> None:
        super().reset()
        self._until.clear()
        self._new = set()

    def rates(self, period: float) -> Array:
        if not self._keys.listening:
            raise DeviceError("the terminal is gone")
        now = time.monotonic()
        new, self._new = (
            self._new,
            set(),
        )  # a tap counts in a late step, too
        return self.rates_of(new | {key for key, end in list(self._until.items()) if end > now})

    def close(self) -> None:
        self._held.close()

    def _pressed(self, key: str) -> None:
        name = key.lower() if len(key) == 1 else key
        if name in MOTIONS:
            self._until[name] = time.monotonic() + _HOLD
            self._new.add(name)
        else:
            self.command(name)
