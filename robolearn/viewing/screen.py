"""Showing files on the screen of whoever sits there."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import webbrowser
from pathlib import Path

from robolearn.errors import MissingDependency


def has_display() -> bool:
    """Whether a window can be opened here."""
    return not sys.platform.startswith("linux") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


def require_display(advice: str) -> None:
    """Raise where no window can be opened.

    Args:
        advice: what to do instead.

    Raises:
        MissingDependency: there is no display.
    """
    if not has_display():
        raise MissingDependency(f"there is no display here; {advice}")


def open_recording(path: Path) -> None:
    """Show a ``.rrd`` file in the Rerun viewer, until its window is closed or Ctrl-C.

    Args:
        path: of the file.

    Raises:
        MissingDependency: there is no display, or the viewer cannot start; the message names the
            file and says how to look at it elsewhere.
    """
    require_display(
        f"copy {path} to a machine that has one and run 'rerun {path.name}', or serve it to a "
        f"browser with '{sys.executable} -m rerun_cli {path} --serve-web'"
    )
    # The viewer is a child of the wrapper: in a group of their own both end together.
    viewer = subprocess.Popen(
        [sys.executable, "-m", "rerun_cli", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, said = viewer.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(viewer.pid, signal.SIGTERM)
        viewer.wait()
        raise
    if viewer.returncode:
        last = (said.strip().splitlines() or [f"status {viewer.returncode}"])[-1]
        raise MissingDependency(
            f"the Rerun viewer does not run here ({last}); "
            f"copy {path} to another machine and run 'rerun {path.name}', or serve it to a browser "
            f"with 'rerun {path} --serve-web'"
        )


def open_report(path: Path) -> None:
    """Show a report in the browser.

    Args:
        path: of the file.

    Raises:
        MissingDependency: there is no display or no browser; the message names the file.
    """
    if not has_display() or not webbrowser.open(path.resolve().as_uri()):
        raise MissingDependency(
            f"there is no browser here to show {path}; copy that one file to where there is one"
        )
