"""Processes that something moving waits for."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_NICENESS = -10
_GROUP = Path("/proc/self/autogroup")


def go_first() -> None:
    """Have this process run before others that want to, where this user may ask for that.

    It needs little, and what needs it in time is an arm. Real-time scheduling would be more than is
    good: LeRobot's drivers wait for answers without rest, and two arms would leave two processors
    to nobody, who the answers of a virtual arm come from. Where Linux shares processors out between
    sessions first (``sched_autogroup``), niceness only counts within one, so that a process in a
    session of its own has to ask for the session, too.
    """
    with contextlib.suppress(OSError, AttributeError):
        os.nice(_NICENESS)
    with contextlib.suppress(OSError):
        _GROUP.write_text(str(_NICENESS))
