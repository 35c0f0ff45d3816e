"""What a person asks for beside the motion itself: begin, keep, throw away, once more, stop."""

from __future__ import annotations

import queue
from collections.abc import Callable
from enum import Enum


class Request(Enum):
    """Of a person who collects demonstrations."""

    START = "start"
    """Begin to record; before that, on an arm, things are put back. Judges nothing."""
    KEEP = "keep"
    """End the episode, or judge the one that ended: it is a success and is kept."""
    KEEP_FAILURE = "failure"
    """End the episode, or judge the one that ended: it failed, and is kept as that."""
    DISCARD = "discard"
    """Throw the episode away and go on with the next one."""
    REDO = "redo"
    """Throw the episode away, and begin the same one (the same seed) again."""
    STOP = "stop"
    """Hold still at once, keep what is complete, and end."""


class Requests:
    """Requests in the order in which they came, from whichever thread: keys, buttons, a page."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._stop_at_once: Callable[[], None] | None = None

    def stop_by(self, stop: Callable[[], None]) -> None:
        """Have a STOP do this at once, from the thread that it comes from: halt an arm."""
        self._stop_at_once = stop

    def add(self, request: Request) -> None:
        """Called by whatever the person pressed."""
        try:
            if request is Request.STOP and self._stop_at_once is not None:
                self._stop_at_once()
        finally:
            self._waiting.put(request)  # the loop is to end whatever came of that

    def take(self) -> Request | None:
        """The oldest that was not taken; None where there is none."""
        try:
            return self._waiting.get_nowait()
        except queue.Empty:
            return None
