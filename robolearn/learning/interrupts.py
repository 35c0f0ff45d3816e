"""Keeping Ctrl-C out of what must be done whole."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def interrupt_held_back() -> Iterator[None]:
    """Let a Ctrl-C wait until the block is done.

    Raises:
        KeyboardInterrupt: after the block, if Ctrl-C was pressed in it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python tells only the main thread
        return
    pressed = False

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  a handler's form
        nonlocal pressed
        pressed = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt
