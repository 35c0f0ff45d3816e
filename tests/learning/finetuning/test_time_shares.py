from __future__ import annotations

import ctypes

import pytest

from robolearn.learning.finetuning.time_shares import time_shares
from robolearn.learning.freed_memory import keep_freed_memory


def test_shares_are_of_all_that_passed() -> None:
    rows = [
        {"step": 0, "seconds/trials": 4, "seconds/trials_physics": 3, "seconds/all": 5},
        {
            "step": 640,
            "seconds/rollouts": 2.5,
            "seconds/physics": 2,
            "seconds/reward": 0.5,
            "seconds/policy": 1.5,
            "seconds/all": 5,
        },
    ]
    assert time_shares(rows) == pytest.approx({"physics": 0.5, "learning": 0.2})
    assert time_shares([{"step": 0}]) == {}


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_freed_memory()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    keep_freed_memory()
