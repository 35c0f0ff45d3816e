"""Somebody who sits in a terminal: reads its screen, and types."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Typist:
    """Runs robolearn in a terminal of 100 columns and 40 lines."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._terminal, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "robolearn", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env=os.environ | {"TERM": "xterm-256color"},
        )
        os.close(theirs)
        self.raw = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.hang_up()
        self.process.kill()
        self.process.wait()

    def hang_up(self) -> None:
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def read(self, seconds: float = 0.05) -> str:
        """What was written in the meantime, without colours; an empty text at the end."""
        text = b""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if not select.select([self._terminal], [], [], left)[0]:
                break
            try:
                text += os.read(self._terminal, 65536)
            except OSError:  # nobody is left who writes
                break
        self.raw += text.decode(errors="replace")
        return _SEQUENCE.sub("", text.decode(errors="replace"))

    def wait_for(self, text: str, seconds: float = 150) -> str:
        return self.until(lambda seen: text in seen, f"{text!r} on the screen", seconds)

    def until(self, done: Callable[[str], bool], what: str, seconds: float = 60) -> str:
        seen = ""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            seen = (seen + self.read())[-20000:]
            if done(seen):
                return seen
        raise AssertionError(f"no {what}: {seen[-3000:]}")

    def end(self, seconds: float = 60) -> tuple[int, str]:
        """The exit status, and what was written until then."""
        seen = ""
        until = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < until:
            seen += self.read()
        seen += self.read()
        return self.process.wait(timeout=1), seen
