"""Showing reports on the screen of whoever sits there."""

from __future__ import annotations

import webbrowser
from pathlib import Path

from robolearn.errors import MissingDependency
from robolearn.viewing.viewer import has_display


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
