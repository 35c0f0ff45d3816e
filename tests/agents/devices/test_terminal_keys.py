from __future__ import annotations

import os
import pty
import sys
import threading
import time

import pytest

from robolearn.agents.devices.terminal import TerminalKeys


def test_a_terminal_that_is_gone_is_let_go_of_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    person, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        with TerminalKeys(lambda key: None) as keys:
            assert keys.listening
            os.close(person)
            end = time.monotonic() + 10
            while keys.listening:
                assert time.monotonic() < end, "it still listens"
                time.sleep(0.01)
    assert not any(thread.name == "keys" for thread in threading.enumerate())
