"""The report of a run, from whatever its folder and its demonstrations hold."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import count_episodes
from robolearn.errors import DatasetError
from robolearn.learning.run import Run
from robolearn.viewing.report import write_report


def report(run: Run, recordings: Sequence[Path] = (), commands: Sequence[str] = ()) -> Path:
    """Write ``report.html``.

    Args:
        run: to report on.
        recordings: ``.rrd`` files to link to.
        commands: that repeat it; none for those that the run itself knows.

    Returns:
        Path of the report.
    """
    episodes = run.evaluation_episodes
    demonstrations = None
    if run.dataset is not None:
        with contextlib.suppress(DatasetError):  # what was trained on may be gone by now
            demonstrations = open_dataset(run.dataset)
    return write_report(
        run,
        demonstrations,
        trials=open_dataset(episodes) if count_episodes(episodes) else None,
        recordings=recordings,
        commands=commands,
    )
