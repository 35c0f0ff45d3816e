"""Something tried in a process of its own: a broken driver may crash it, or never come back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

from robolearn.errors import RobolearnError


class TrialFailed(RobolearnError):
    """It crashed, hung or raised; the message says which."""


def try_out(module: str, seconds: float) -> dict[str, Any]:
    """Run a module that prints a JSON object as its last line.

    Args:
        module: to be run with ``python -m``.
        seconds: after which it is ended.

    Raises:
        TrialFailed: it did not come to its end.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", module],
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TrialFailed(f"it did not come to its end within {seconds:g} s") from None
    if done.returncode < 0:
        raise TrialFailed(f"it crashed ({signal.Signals(-done.returncode).name})")
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise TrialFailed(said[-1].strip() if said else f"it ended with {done.returncode}")
    result: dict[str, Any] = json.loads(lines[-1])
    return result
