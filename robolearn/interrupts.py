"""Keeping Ctrl-C and its like out of what must be done whole."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_HELD_BACK = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@contextlib.contextmanager
def interrupt_held_back() -> Iterator[None]:
    """Let a Ctrl-C, SIGTERM or SIGHUP wait until the block is done.

    Raises:
        KeyboardInterrupt: after the block, if one came in it that is answered by that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python tells only the main thread
        return
    held: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  a handler's form
        held.append(number)

    before = {number: signal.getsignal(number) for number in _HELD_BACK}
    try:
        for number in before:
            signal.signal(number, hold)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if held:
        signal.raise_signal(held[0])
