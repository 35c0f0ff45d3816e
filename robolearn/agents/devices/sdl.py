"""A process of its own for SDL, through which windows and gamepads are reached.

SDL wants a program's first thread for itself, and drawing takes milliseconds in which a control
loop in the same process would be late.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
import tempfile
import threading
import warnings
from collections.abc import Callable
from typing import Any

from robolearn.errors import DeviceError, MissingDependency

_STARTING = 30.0
"""Seconds in which it has to begin."""

OPEN, FAILED, MISSING = "open", "failed", "missing"
"""The first that the process says: it has begun; it cannot, and why; a library is not there."""


class SdlProcess:
    """Runs a function in a process of its own, and exchanges messages with it.

    Args:
        run: is given its end of the connection and the arguments; a function of a module. It tells
            `OPEN` once it has begun, and ends when its connection is closed.
        arguments: of it, picklable.
        receive: called with each message that comes, from a thread of its own.
        lost: called from there when the process is gone without having been closed.

    Raises:
        MissingDependency: pygame is not installed.
        DeviceError: it cannot begin.
    """

    def __init__(
        self,
        run: Callable[..., None],
        arguments: tuple[Any, ...],
        receive: Callable[[Any], None],
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._connection, theirs = spawning.Pipe()
        self._process = spawning.Process(target=run, args=(theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()
        self._receive, self._lost = receive, lost
        self._closing = self._gone = False
        self._newest: Any = None
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._await_opening()
        self._threads = [
            threading.Thread(target=target, name=target.__name__, daemon=True)
            for target in (self._listen, self._send_on_and_on)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def running(self) -> bool:
        """Whether it is still there."""
        return not (self._closing or self._gone) and self._process.is_alive()

    def show(self, message: Any) -> None:
        """Send a message soon, unless there is a newer one by then. Takes a microsecond."""
        with self._changed:
            self._newest = message
            self._changed.notify()

    def close(self) -> None:
        """End it. May be called twice."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._connection.closed:
            return
        # Not closed yet: a thread may be reading from it.
        both_ways = socket.socket(fileno=os.dup(self._connection.fileno()))
        with both_ways, contextlib.suppress(OSError):  # the other end is gone
            both_ways.shutdown(socket.SHUT_RDWR)
        self._process.join(2.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        for thread in self._threads:
            thread.join()
        self._connection.close()

    def _await_opening(self) -> None:
        try:
            kind, text = (
                self._connection.recv()
                if self._connection.poll(_STARTING)
                else (FAILED, "it does not begin")
            )
        except (EOFError, OSError):
            kind, text = FAILED, "it ended at once"
        if kind == OPEN:
            return
        self.close()
        raise (MissingDependency if kind == MISSING else DeviceError)(text)

    def _listen(self) -> None:
        with contextlib.suppress(EOFError, OSError):  # the process is gone, or this end was closed
            while True:
                self._receive(self._connection.recv())
        self._gone = True
        if not self._closing:
            self._lost()

    def _send_on_and_on(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # likewise
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._closing or self._newest is not None)
                    if self._closing:
                        return
                    message, self._newest = self._newest, None
                self._connection.send(message() if callable(message) else message)


def import_pygame(connection: Any) -> Any:
    """pygame, in the process; None, which was told, where it is not installed."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())  # SDL complains without one
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pygame's own, of what it imports
            import pygame
    except ImportError as error:
        connection.send(
            (
                MISSING,
                f"windows and gamepads need pygame: pip install 'robolearn[teleop]' ({error})",
            )
        )
        return None
    return pygame
