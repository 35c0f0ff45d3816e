"""What is wrong with a dataset: one object for each thing, naming episode, stream and frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Literal

import numpy as np

from robolearn.episodes.frames import Array

type Severity = Literal["error", "warning"]

type Range = tuple[int, int]
"""First and last of numbers that follow each other."""

_RANGES_SHOWN = 5


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        severity: ``error``: it cannot be read, or what it holds is wrong; ``warning``: it can be
            used, and somebody should look at it.
        kind: name of what is wrong, the same for all of its kind: ``not_finite``.
        message: what is wrong, in words.
        episode: its number, where the problem is one episode's.
        stream: feature name or name of the array, where it is one stream's.
        frames: ranges of frames, where it is theirs.
    """

    severity: Severity
    kind: str
    message: str
    episode: int | None = None
    stream: str | None = None
    frames: tuple[Range, ...] = ()

    @property
    def place(self) -> str:
        """Episode, stream and frames in words; empty where it is none's."""
        parts = []
        if self.episode is not None:
            parts.append(f"episode {self.episode}")
        if self.stream is not None:
            parts.append(self.stream)
        if self.frames:
            one = len(self.frames) == 1 and self.frames[0][0] == self.frames[0][1]
            parts.append(f"frame{'s' * (not one)} {in_words(self.frames)}")
        return ", ".join(parts)

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message

    def to_json(self) -> dict[str, Any]:
        """All of it, for machines."""
        return {
            "severity": self.severity,
            "kind": self.kind,
            "message": self.message,
            "episode": self.episode,
            "stream": self.stream,
            "frames": [list(frames) for frames in self.frames],
        }


def runs(mask: Array) -> tuple[Range, ...]:
    """Ranges of the frames at which a (T,) mask is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return tuple(
        (int(first), int(stop) - 1) for first, stop in zip(edges[::2], edges[1::2], strict=True)
    )


def ranges_of(numbers: Iterable[int]) -> tuple[Range, ...]:
    """Ranges of numbers, in their order."""
    ordered = sorted(set(numbers))
    starts = [0, *(place + 1 for place, (a, b) in enumerate(pairwise(ordered)) if b != a + 1)]
    ends = [*(start - 1 for start in starts[1:]), len(ordered) - 1]
    return tuple((ordered[a], ordered[b]) for a, b in zip(starts, ends, strict=True) if ordered)


def in_words(ranges: tuple[Range, ...]) -> str:
    """Ranges as text, no more than a few of them."""
    shown = [f"{a}" if a == b else f"{a}-{b}" for a, b in ranges[:_RANGES_SHOWN]]
    more = len(ranges) - len(shown)
    return ", ".join(shown) + (f" and {more} more ranges" if more else "")


def summarised(problems: Iterable[Problem], shown: int = 3) -> Iterator[str]:
    """Problems as few lines: errors first, and of each kind in each stream only some.

    Args:
        problems: all that were found.
        shown: of each kind in each stream.
    """

    def group(problem: Problem) -> tuple[bool, str, str]:
        return (problem.severity != "error", problem.kind, problem.stream or "")

    for _, alike in groupby(sorted(problems, key=group), key=group):
        found = list(alike)
        for problem in found[:shown]:
            yield f"{problem.severity}: {problem}"
        if rest := found[shown:]:
            severity, stream = rest[0].severity, rest[0].stream
            episodes = ranges_of(p.episode for p in rest if p.episode is not None)
            where = f" in episodes {in_words(episodes)}" if episodes else ""
            what = rest[0].kind.replace("_", " ") + (f" in {stream}" if stream else "")
            yield f"{severity}: and {len(rest)} more of this kind ({what}){where}"
