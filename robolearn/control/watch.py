"""How an episode goes, while it goes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from robolearn.episodes.frames import EpisodeContext, Observation, Outcome, Step

_RATE_SECONDS = 2.0
"""Over which the rate is measured."""


class Watch:
    """The last of an episode's observers: measures how it goes.

    Args:
        show: called at each step.
    """

    def __init__(self, show: Callable[[Step], None]) -> None:
        self._show = show
        self._times: deque[float] = deque()
        self.forget()

    def forget(self) -> None:
        """The last episode was decided on."""
        self._began = 0.0
        self._times.clear()
        self.begun = False
        self.last: Observation | None = None

    @property
    def seconds(self) -> float:
        """Since the episode began, and until it ended."""
        return self._times[-1] - self._began if self._times else 0.0

    @property
    def rate(self) -> float:
        """Control steps a second over the last seconds; 0 before there were two."""
        passed = self._times[-1] - self._times[0] if self._times else 0.0
        return (len(self._times) - 1) / passed if passed > 0 else 0.0

    def on_reset(self, context: EpisodeContext) -> None:
        self.forget()
        self._began, self.begun = time.monotonic(), True

    def on_step(self, step: Step) -> None:
        now = time.monotonic()
        self._times.append(now)
        while now - self._times[0] > _RATE_SECONDS:
            self._times.popleft()
        self.last = step.next_observation
        self._show(step)

    def on_end(self, outcome: Outcome) -> None:
        """What was measured stays until the next episode."""
