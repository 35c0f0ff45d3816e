"""Keys that are pressed in a terminal, also in one at the other end of ssh."""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

ESCAPE = "escape"
_POLL = 0.05
_MORE = 0.03
"""Seconds in which the rest of an arrow's sequence comes, after its Escape."""

_NAMES = {
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1b[C": "right",
    "\x1b[D": "left",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\n": "enter",
    "\r": "enter",
    "\t": "tab",
    " ": "space",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\x1b": ESCAPE,
}
_KEY = re.compile(r"\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Z]|.", re.DOTALL)


def key_names(text: str) -> Iterator[str]:
    """The keys that a terminal's characters stand for, by name; a letter is its own."""
    for found in _KEY.findall(text):
        sequence = found.replace("\x1bO", "\x1b[")
        yield _NAMES.get(sequence, sequence)


class TerminalKeys:
    """Tells which keys are pressed, from a thread of its own, at once.

    A terminal tells of a key that is pressed, and again and again while it is held, but not when it
    is let go. A context manager; where standard input is no terminal, no key is ever pressed.

    Args:
        pressed: called with the name of each key.
        gone: called when the terminal is gone, from that thread.
    """

    def __init__(
        self, pressed: Callable[[str], None], gone: Callable[[], None] = lambda: None
    ) -> None:
        self._pressed, self._gone = pressed, gone
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        try:
            self._input = sys.stdin.fileno()
            self._before = termios.tcgetattr(self._input)
        except (OSError, ValueError, termios.error):
            return self
        tty.setcbreak(self._input)
        self._thread = threading.Thread(target=self._listen, name="keys", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            with contextlib.suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)

    @property
    def listening(self) -> bool:
        """Whether there is a keyboard, still."""
        return self._thread is not None and self._thread.is_alive()

    def _listen(self) -> None:
        while not self._ending.is_set():
            if not self._readable(_POLL):
                continue
            try:
                text = self._read()
                if text == "\x1b" and self._readable(_MORE):
                    text += self._read()
            except OSError:
                text = ""
            if not text:
                self._gone()
                return
            for name in key_names(text):
                self._pressed(name)

    def _readable(self, seconds: float) -> bool:
        return bool(select.select([self._input], [], [], seconds)[0])

    def _read(self) -> str:
        return os.read(self._input, 64).decode(errors="replace")
