from __future__ import annotations

import ctypes

import pytest

from robolearn.learning.freed_memory import keep_freed_memory


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_freed_memory()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    keep_freed_memory()
