"""What a command prints: text for people, JSON for machines, and how far it is."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robolearn.learning.progress import Progress

_SECONDS_BETWEEN_LINES = 5.0


@dataclass(frozen=True)
class Console:
    """Writes text and results to standard output, progress to standard error.

    Args:
        as_json: only `result` writes to standard output, and text goes to standard error.
    """

    as_json: bool

    def say(self, text: str) -> None:
        """A line for people."""
        stream = sys.stderr if self.as_json else sys.stdout
        stream.write(f"{text}\n")
        stream.flush()

    def result(self, values: Mapping[str, Any]) -> None:
        """What came out, for machines; people have read it in what was said."""
        if self.as_json:
            sys.stdout.write(json.dumps(values, default=_as_text) + "\n")

    @contextlib.contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """A progress bar on a terminal, a line now and then elsewhere."""
        if sys.stderr.isatty():
            with _bar(title) as progress:
                yield progress
        else:
            yield _lines(title)


def counted(number: int, what: str) -> str:
    """So many of something, in words."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _as_text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{value!r} cannot be written as JSON")


@contextlib.contextmanager
def _bar(title: str) -> Iterator[Progress]:
    from rich import console, progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("{task.fields[text]}"),
    )
    with progress.Progress(*columns, console=console.Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, text="")

        def show(done: int, total: int, text: str) -> None:
            bar.update(task, completed=done, total=total, text=text)

        yield show


def _lines(title: str) -> Progress:
    last = time.monotonic()

    def show(done: int, total: int, text: str) -> None:
        nonlocal last
        if done < total and time.monotonic() - last < _SECONDS_BETWEEN_LINES:
            return
        last = time.monotonic()
        sys.stderr.write(f"{title}: {done} of {total}  {text}\n")
        sys.stderr.flush()

    return show
