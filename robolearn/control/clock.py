"""Keeping a rate without drift."""

from __future__ import annotations

import time


class Clock:
    """Waits for absolute deadlines, so that one late step does not delay all that follow.

    Args:
        rate: Hz.

    Attributes:
        missed: deadlines that had passed when they were waited for, since `begin`.
    """

    def __init__(self, rate: float) -> None:
        if not rate > 0:
            raise ValueError(f"a rate must be positive, not {rate}")
        self._period = 1.0 / rate
        self.begin()

    def begin(self) -> None:
        """The first step begins now."""
        self._deadline = time.monotonic()
        self.missed = 0

    def wait(self) -> None:
        """Sleep until the next deadline. A deadline that has passed is counted in ``missed``."""
        self._deadline += self._period
        remaining = self._deadline - time.monotonic()
        if remaining > 0:
            time.sleep(remaining)
        else:
            self.missed += 1
            self._deadline = time.monotonic()
