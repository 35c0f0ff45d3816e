"""What robosuite and MuJoCo keep for the whole process, used for a while and put back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np


@contextlib.contextmanager
def numpy_seeded(seed: int) -> Iterator[None]:
    """robosuite draws from NumPy's global generator; leave it as it was found."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


@contextlib.contextmanager
def warnings_kept() -> Iterator[list[str]]:
    """What MuJoCo warns of, which it would write into a file in the working folder."""
    import mujoco

    before = mujoco.get_mju_user_warning()
    warned: list[str] = []
    mujoco.set_mju_user_warning(warned.append)
    try:
        yield warned
    finally:
        mujoco.set_mju_user_warning(before)


@contextlib.contextmanager
def references_renewed(env: Any) -> Iterator[None]:
    """Let robosuite's sensors refer to the model that is loaded meanwhile, not to the one before.

    robosuite does so only where it builds a new model for each episode.
    """
    hard_reset = env.hard_reset
    env.hard_reset = True
    try:
        yield
    finally:
        env.hard_reset = hard_reset
        env.deterministic_reset = False  # robosuite leaves it on where the model does not load


@contextlib.contextmanager
def nothing_drawn(env: Any) -> Iterator[None]:
    """Let robosuite's resets draw nothing, and build no model anew."""
    env.deterministic_reset = True
    try:
        yield
    finally:
        env.deterministic_reset = False
