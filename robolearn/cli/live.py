"""``--view`` of the commands that drive something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from pydantic import Field

from robolearn.cli.console import Console

if TYPE_CHECKING:
    from robolearn.episodes.frames import EpisodeContext
    from robolearn.viewing.live import LiveView

type Shown = Annotated[
    Annotated[tuple[Literal["window", "web"], ...], Field(max_length=1)] | None,
    tyro.conf.arg(metavar="[window|web]"),
]
"""``--view`` alone is a window."""


@contextmanager
def live_view(
    shown: tuple[str, ...], context: EpisodeContext, agent: str, title: str, console: Console
) -> Iterator[LiveView]:
    """A live view while something is driven.

    Args:
        shown: what follows ``--view``.
        context: of the episodes to come.
        agent: who drives.
        title: of the view.
        console: where its address is said, and what it cannot show.

    Raises:
        MissingDependency: there is no display, a port is in use, or the viewer does not run.
    """
    from robolearn.viewing.live import LiveView
    from robolearn.viewing.viewer import free_web_port, in_browser, in_window

    viewer = in_browser(port=free_web_port()) if "web" in shown else in_window()
    if viewer.address is not None:
        console.say(f"look at {viewer.address}")
    with LiveView(viewer, context, agent, title, console.say) as view:
        for line in view.left_out:
            console.say(line)
        yield view
