"""Keeping a rate without drift."""

from __future__ import annotations

import time


class Clock:
    """Waits for absolute deadlines, so that one late step does not delay all that follow.

    Args:
        rate: Hz; None never waits.
    """

    def __init__(self, rate: float | None) -> None:
        if rate is not None and not rate > 0:
            raise ValueError(f"a rate must be positive, not {rate}")
        self._period = None if rate is None else 1.0 / rate
        self._deadline = time.monotonic()
        self.missed = 0

    def wait(self) -> None:
        """Sleep until the next deadline. A deadline that has passed is counted in ``missed``."""
        if self._period is None:
            return
        self._deadline += self._period
        remaining = self._deadline - time.monotonic()
        if remaining > 0:
            time.sleep(remaining)
        else:
            self.missed += 1
            self._deadline = time.monotonic()
