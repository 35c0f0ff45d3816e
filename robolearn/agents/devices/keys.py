"""Which key does what, in a terminal as well as in a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

import numpy as np

from robolearn.agents.devices.rates import RateDevice
from robolearn.agents.devices.requests import Request
from robolearn.episodes.frames import Array, EpisodeContext

MOTIONS: Mapping[str, tuple[int, int]] = {
    "d": (0, 1), "right": (0, 1), "a": (0, -1), "left": (0, -1),
    "w": (1, 1), "up": (1, 1), "s": (1, -1), "down": (1, -1),
    "r": (2, 1), "page up": (2, 1), "f": (2, -1), "page down": (2, -1),
    "i": (3, -1), "k": (3, 1), "u": (4, -1), "o": (4, 1), "j": (5, 1), "l": (5, -1),
}  # fmt: skip
"""Element of the rates, and its sign: right, away, up; turns about these axes."""

REQUESTS: Mapping[str, Request] = {
    "enter": Request.START,
    "y": Request.KEEP,
    "n": Request.KEEP_FAILURE,
    "x": Request.DISCARD,
    "backspace": Request.DISCARD,
    "z": Request.REDO,
    "q": Request.STOP,
    "escape": Request.STOP,
}

HELP = (
    "w a s d, arrows  move        r f, page up/down  up and down   space  gripper",
    "j l  turn    i k  tip    u o  roll              + -  speed    tab  other hand",
    "enter  begin    y  keep    n  keep as failed    x  throw away    z  once more    q  end",
)


class Keyboard(RateDevice):
    """Hands moved by keys.

    Args:
        context: of the environment that it drives.
        ask: told what the person presses.
    """

    def __init__(self, context: EpisodeContext, ask: Callable[[Request], None]) -> None:
        super().__init__(context)
        self._ask = ask

    def command(self, key: str) -> None:
        """Do what a key stands for that does not move anything."""
        if key in REQUESTS:
            self._ask(REQUESTS[key])
        elif key == "space":
            self.grip()
        elif key == "tab":
            self.next_hand()
        elif key in {"+", "=", "-", "_"}:
            self.faster(1 if key in "+=" else -1)

    @staticmethod
    def rates_of(keys: Set[str]) -> Array:
        """(6,) what is asked for by keys that are held."""
        rates = np.zeros(6)
        for key in keys & MOTIONS.keys():
            axis, sign = MOTIONS[key]
            rates[axis] += sign
        return rates
