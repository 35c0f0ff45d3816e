from __future__ import annotations

import os
import pty
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "control"))
from hand_world import context

from robolearn.agents.devices.keyboard import TerminalKeyboard
from robolearn.agents.devices.registry import Setting, make_device
from robolearn.agents.devices.requests import Request, Requests
from robolearn.agents.devices.terminal import key_names
from robolearn.errors import DeviceError


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The person's end of a terminal that is standard input."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        yield ours
    os.close(ours)


def soon(device: TerminalKeyboard, axis: int, wanted: float) -> None:
    until = time.monotonic() + 10
    while device.rates(0.05)[axis] != wanted:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_a_key_moves_for_a_short_time(terminal: int) -> None:
    requests = Requests()
    device = make_device("keyboard", Setting(context(), requests.add, lambda line: None))
    assert isinstance(device, TerminalKeyboard)
    assert not device.rates(0.05).any()
    os.write(terminal, b"w")
    soon(device, 1, 1)
    soon(device, 1, 0)
    os.write(terminal, b"\x1b[A\x1b[6~")  # arrow up, page down
    soon(device, 2, -1)
    os.write(terminal, b"y\x1b")
    until = time.monotonic() + 10
    asked: list[Request | None] = []
    while len(asked) < 2 and time.monotonic() < until:
        asked += [request for request in [requests.take()] if request is not None]
        time.sleep(0.005)
    assert asked == [Request.KEEP, Request.STOP]
    device.close()
    device.close()


def test_a_tap_that_is_over_when_the_loop_looks_moves_it_once(
    terminal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = TerminalKeyboard(Setting(context(), Requests().add, lambda line: None))
    device._pressed("d")
    later = time.monotonic() + 10
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert device.rates(0.05)[0] == 1
    assert device.rates(0.05)[0] == 0
    device.close()


def test_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(DeviceError, match="standard input is none"):
            TerminalKeyboard(Setting(context(), Requests().add, lambda line: None))


def test_what_a_terminal_sends() -> None:
    assert list(key_names("a\x1b[A\x1bOB\x1b[5~ \r\x7f\x1b")) == [
        *("a", "up", "down", "page up", "space", "enter", "backspace", "escape"),
    ]
