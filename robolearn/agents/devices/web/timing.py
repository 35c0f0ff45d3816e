"""Times of another machine's clock, and how many messages a second are enough."""

from __future__ import annotations

from collections import deque

_DRIFT = 2e-4
"""Seconds a second, by which two clocks may differ."""


class RemoteClock:
    """Translates the page's times into this machine's.

    The shortest way that a message took is held for the clocks' difference, as nothing comes before
    it was sent: what comes later than that says how much older it is.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._heard = 0.0

    def local(self, sent: float, received: float) -> float:
        """When something was sent, by this machine's clock.

        Args:
            sent: by the other clock, seconds.
            received: by this one.
        """
        offset = received - sent
        if self._offset is not None:
            offset = min(offset, self._offset + _DRIFT * max(0.0, received - self._heard))
        self._offset, self._heard = offset, received
        return sent + offset


class Budget:
    """How many messages may come: a bucket that fills at a rate (token bucket).

    Args:
        rate: messages a second.
        most: at once.
    """

    def __init__(self, rate: float, most: float) -> None:
        self._rate, self._most = rate, most
        self._left, self._seen = most, 0.0

    def take(self, now: float) -> bool:
        """Whether one more may come at that time, seconds."""
        self._left = min(self._most, self._left + self._rate * (now - self._seen))
        self._seen = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Rate:
    """Counts what came within the last second."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def add(self, now: float) -> None:
        """One came."""
        self._times.append(now)
        self._forget(now)

    def get(self, now: float) -> float:
        """How many came within the second before now."""
        self._forget(now)
        return float(len(self._times))

    def _forget(self, now: float) -> None:
        while self._times and now - self._times[0] > 1.0:
            self._times.popleft()
