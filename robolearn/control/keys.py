"""Keys that a person presses while an arm moves."""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
import tty
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

ESCAPE = "\x1b"
_POLL = 0.05


class Keys:
    """Calls what a key stands for, from a thread of its own, at once.

    A context manager. Where standard input is no terminal, no key is ever pressed.

    Args:
        actions: what to call, by key: one character each.
    """

    def __init__(self, actions: Mapping[str, Callable[[], None]]) -> None:
        self._actions = actions
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
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)

    @property
    def listening(self) -> bool:
        """Whether there is a keyboard."""
        return self._thread is not None

    def _listen(self) -> None:
        while not self._ending.is_set():
            readable, _, _ = select.select([self._input], [], [], _POLL)
            if not readable:
                continue
            pressed = os.read(self._input, 64).decode(errors="replace")
            if not pressed:
                return
            # An arrow is several characters that begin with Escape: it stops the arm, too.
            for key in pressed:
                if key in self._actions:
                    self._actions[key]()
