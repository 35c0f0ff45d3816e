"""The text screen of a person who collects demonstrations."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self, TextIO

import numpy as np

from robolearn.agents.devices.display import Phase, Status
from robolearn.agents.devices.words import BANNERS, health, picture, progress
from robolearn.episodes.features import ENVIRONMENT_STATE
from robolearn.episodes.frames import Array, EpisodeContext, Observation

_PERIOD = 0.1
"""Seconds between two pictures of the screen."""

_COLOURS: dict[Phase, str] = {
    "resetting": "\x1b[30;46m",
    "ready": "\x1b[30;43m",
    "recording": "\x1b[97;41m",
    "judging": "\x1b[97;44m",
    "deploying": "\x1b[97;41m",
    "ended": "\x1b[30;47m",
}
_SUCCESS = "\x1b[30;42m"
_WRONG = "\x1b[91m"
_PLAIN = "\x1b[0m"
_CELL = "\x1b[38;2;000;000;000m\x1b[48;2;000;000;000m▀"
"""Two pixels, one above the other."""


class Screen:
    """Shows a collection in a terminal, with the first camera's image in coloured characters.

    A context manager; drawn by a thread of its own, so that showing takes a microsecond. What is
    said meanwhile is shown below, and written out when the screen is closed.

    Args:
        title: of what is recorded.
        context: of the environment.
        help: lines that tell what does what.
        stream: a terminal.
    """

    def __init__(
        self,
        title: str,
        context: EpisodeContext,
        help: Sequence[str],  # noqa: A002  what it is
        stream: TextIO = sys.stdout,
    ) -> None:
        self._title, self._help, self._stream = title, help, stream
        self._ways = _ways_to_go(context)
        self._newest: tuple[Status, Observation | None] | None = None
        self._said: deque[str] = deque()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._draw_on_and_on, name="screen", daemon=True)

    def __enter__(self) -> Self:
        self._stream.write("\x1b[?1049h\x1b[?25l\x1b[2J")  # another screen, without a cursor
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._thread.join()
        with contextlib.suppress(OSError):  # the terminal is gone
            self._stream.write("\x1b[?25h\x1b[?1049l")
            self._stream.write("".join(f"{line}\n" for line in self._said))
            self._stream.flush()

    def show(self, status: Status, observation: Observation | None) -> None:
        """See `Display`."""
        self._newest = status, observation

    def say(self, text: str) -> None:
        """A line below."""
        self._said.append(text)

    def _draw_on_and_on(self) -> None:
        while not self._ending.wait(_PERIOD):
            if self._newest is None:
                continue
            try:
                columns, rows = os.get_terminal_size(self._stream.fileno())
                lines = list(self._lines(*self._newest, columns, rows))[: rows - 1]
                self._stream.write("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in lines))
                self._stream.write("\x1b[J")
                self._stream.flush()
            except OSError:
                return  # the terminal is gone

    def _lines(
        self, status: Status, observation: Observation | None, columns: int, rows: int
    ) -> Iterator[str]:
        colour, text = _COLOURS[status.phase], BANNERS[status.phase]
        yield f"{self._title}"[:columns]
        yield f"{colour} {text}".ljust(columns + len(colour))[: columns + len(colour)] + _PLAIN
        yield (_SUCCESS if status.success else "") + progress(status)[:columns] + _PLAIN
        yield health(status, observation)[:columns]
        yield f"{_WRONG}{status.notice[:columns]}{_PLAIN}" if status.notice else ""
        yield " ".join(self._remaining(observation))[:columns]
        yield from (line[:columns] for line in self._help)
        said = list(self._said)[-3:]
        yield from (line[:columns] for line in said)
        if (image := picture(observation)) is not None:
            yield from in_characters(image, columns, rows - 8 - len(self._help) - len(said))

    def _remaining(self, observation: Observation | None) -> Iterator[str]:
        """How far hands are from objects, which is hard to see in coarse pictures."""
        if observation is None:
            return
        state = observation.values.get(ENVIRONMENT_STATE, np.zeros(0))
        for name, places in self._ways.items():
            x, y, z = (100 * state[place] for place in places)
            yield f"{name}: {x:+.1f} {y:+.1f} {z:+.1f} cm  "


class Lines:
    """Says how a collection goes where there is no terminal: a line where the phase changes.

    Args:
        say: writes a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self._phase: Phase | None = None

    def show(self, status: Status, observation: Observation | None) -> None:
        """See `Display`."""
        if status.phase != self._phase:
            number = min(status.kept + 1, status.wanted)
            self.say(f"episode {number} of {status.wanted}: {status.phase}")
        self._phase = status.phase


def in_characters(image: Array, columns: int, rows: int) -> Iterator[str]:
    """An image as lines of a terminal, two pixels a character.

    Args:
        image: (H, W, 3) uint8.
        columns: at most so wide.
        rows: at most so many lines.
    """
    height, width = image.shape[:2]
    shrink = max(width / columns, height / (2 * rows), 1.0) if rows > 0 else 0.0
    lines = int(height / shrink) // 2 if shrink else 0
    if lines < 1:
        return
    down = (np.arange(2 * lines) * height) // (2 * lines)
    across = (np.arange(int(width / shrink)) * width) // int(width / shrink)
    pixels = image[down[:, None], across]
    digits = np.stack([pixels // 100, pixels // 10 % 10, pixels % 10], -1) + ord("0")
    cell = np.frombuffer(_CELL.encode(), np.uint8)
    places = [at for at in range(len(cell)) if cell[at : at + 3].tobytes() == b"000"]
    cells = np.tile(cell, (lines, len(across), 1))
    for place, (half, colour) in zip(places, np.ndindex(2, 3), strict=True):
        cells[..., place : place + 3] = digits[half::2, :, colour]
    for line in cells:
        yield line.tobytes().decode() + _PLAIN


def _ways_to_go(context: EpisodeContext) -> dict[str, list[int]]:
    """Elements of the environment's state that say how far a hand is from something, by name."""
    feature = context.features.get(ENVIRONMENT_STATE)
    found: dict[str, list[int]] = {}
    for place, name in enumerate(() if feature is None else feature.names or ()):
        stem, _, axis = name.rpartition(".")
        if "_to_" in stem and "quat" not in stem and axis in {"x", "y", "z", "0", "1", "2"}:
            found.setdefault(stem, []).append(place)
    return {name: places for name, places in found.items() if len(places) == 3}
