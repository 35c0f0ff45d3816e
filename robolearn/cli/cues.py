"""Sounds that tell a person, who looks at the arm, how an episode is going."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TextIO

from robolearn.agents.devices.display import Phase, Status
from robolearn.episodes.frames import Observation

_BELL = "\a"
_BETWEEN = 0.15
"""Seconds between two beeps."""

_BEGUN, _ENDED, _SUCCESS = 1, 2, 3
"""Beeps."""


class Cues(AbstractContextManager["Cues"]):
    """Beeps of a terminal: one at the beginning, two at the end, three at success.

    A context manager: nothing sounds any more after it.

    Args:
        stream: a terminal, whose bell rings.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._phase: Phase = "ready"
        self._success = False
        self._wanted: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._ring, name="cues", daemon=True)
        self._thread.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._wanted.put(None)
        self._thread.join()

    def show(self, status: Status, observation: Observation | None) -> None:
        """See `Display`."""
        before, self._phase = self._phase, status.phase
        if status.phase == "recording" and status.success and not self._success:
            self._wanted.put(_SUCCESS)
        elif status.phase == "recording" and before != "recording":
            self._wanted.put(_BEGUN)
        elif before == "recording" and status.phase not in {"recording", "ended"}:
            self._wanted.put(_ENDED)
        self._success = bool(status.success)

    def _ring(self) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone
            while (beeps := self._wanted.get()) is not None:
                for _ in range(beeps):
                    self._stream.write(_BELL)
                    self._stream.flush()
                    time.sleep(_BETWEEN)
