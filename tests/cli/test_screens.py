"""What a collection is shown on, where the terminal goes away."""

from __future__ import annotations

import io
import os
import pty
import threading
import time

import pytest
from hand_world import context

from robolearn.agents.devices.display import Phase, Status
from robolearn.cli.cues import Cues
from robolearn.cli.screen import Screen


def status(phase: Phase) -> Status:
    return Status(phase, 0, 1, 0.0, 1.0, 20.0, 20.0, 0, 0, None, "")


@pytest.fixture
def complaints(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What threads did not catch."""
    told: list[object] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    return told


def test_a_screen_whose_terminal_is_gone_is_no_fault(complaints: list[object]) -> None:
    person, theirs = pty.openpty()
    terminal = os.fdopen(theirs, "w")
    with Screen("demos", context(), (), terminal) as screen:
        screen.show(status("ready"), None)
        terminal.flush()
        os.close(person)
        end = time.monotonic() + 10
        while any(thread.name == "screen" for thread in threading.enumerate()):
            assert time.monotonic() < end, "it still draws"
            time.sleep(0.01)
    assert complaints == []


def test_beeps_end_with_the_collection() -> None:
    stream = io.StringIO()
    with Cues(stream) as cues:
        cues.show(status("recording"), None)
    assert stream.getvalue() == "\a"
    assert not any(thread.name == "cues" for thread in threading.enumerate())


def test_beeps_of_a_terminal_that_is_gone_are_no_fault(complaints: list[object]) -> None:
    person, theirs = pty.openpty()
    os.close(person)
    with os.fdopen(theirs, "wb", buffering=0) as raw, Cues(io.TextIOWrapper(raw)) as cues:
        cues.show(status("recording"), None)
    assert complaints == []
