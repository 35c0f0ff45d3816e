from __future__ import annotations

import pytest

from robolearn.learning.finetuning.account import Kept, time_shares


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


def test_what_was_kept_is_told_with_its_step() -> None:
    assert Kept.of([{"step": 640}]) is None
    rows = [
        {"step": 0, "valid/success": 0.725, "valid/best": 0.725, "valid/kept": 1.0},
        {"step": 640, "practice/success": 0.5},
        {"step": 1280, "valid/success": 0.5, "valid/best": 0.725, "valid/kept": 0.0},
    ]
    assert str(Kept.of(rows)) == (
        "no trial was better than that of the policy as it was (success 72%), which is kept"
    )
    rows += [
        {"step": 2560, "valid/success": 0.9, "valid/best": 0.9, "valid/kept": 1.0},
        {"step": 3840, "valid/success": 0.8, "valid/best": 0.9, "valid/kept": 0.0},
    ]
    assert Kept.of(rows) == Kept(2560, 0.9, 0.725, "success")
    assert "after 2560 steps is kept: success 90% in its trial, 72% before" in str(Kept.of(rows))
    assert Kept.of([{"step": 0, "valid/success": 0.7, "valid/best": 0.7}]) is None
    returns = [{"step": 0, "valid/return": -3.25, "valid/best": -3.25, "valid/kept": 1.0}]
    assert "(return -3.25)" in str(Kept.of(returns))
