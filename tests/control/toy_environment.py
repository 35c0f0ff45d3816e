"""A fast environment that fails when it is told to."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from robolearn.environments.environment import Environment
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.frames import EpisodeContext, Observation
from robolearn.errors import MissingDependency

GO_ON, TERMINATE, RAISE, DIE, HANG, FAIL, TRUNCATE = range(7)
"""What the second element of an action tells it."""

BAD_SEED, DEADLY_SEED = 13, 14
"""It raises, or its process dies, when it is reset with one of them."""


class ToyEnvironment(Environment):
    """A random walk.

    Args:
        flaw: ``missing``, ``raises``, ``dies`` or ``hangs`` when it is made; ``mute`` knows neither
            reward nor success.
        once: a file; if it is there, it is removed and the flaw is only then.
    """

    horizon = 5

    def __init__(self, flaw: str = "", once: Path | None = None) -> None:
        self._mute = flaw == "mute"
        if once is not None:
            try:
                once.unlink()
            except FileNotFoundError:
                flaw = ""
        if flaw == "missing":
            raise MissingDependency("toys need\nwood")
        if flaw == "raises":
            raise ZeroDivisionError("one by\nnothing")
        if flaw == "dies":
            die()
        if flaw == "hangs":
            time.sleep(1000)

    @property
    def context(self) -> EpisodeContext:
        return EpisodeContext(
            features={
                "observation.state.position": Feature("float32", (3,), ("x", "y", "z")),
                "observation.images.front": Feature("uint8", (4, 5, 3)),
                "simulator_state": Feature("float64", (2,)),
            },
            action=ActionFeature("float32", (2,), ("x", "order"), (-1.0, 0.0), (1.0, 6.0)),
            task="wander",
            rate=10.0,
            seed=17,
        )

    def reset(self, seed: int) -> None:
        if seed == BAD_SEED:
            raise RuntimeError("no place for the cube")
        if seed == DEADLY_SEED:
            die()
        self._random = np.random.default_rng(seed)
        self._position = self._random.normal(size=3)
        self._steps = 0
        self._over = self._failed = self._truncated = False

    def observe(self) -> Observation:
        position = self._position.astype(np.float32)
        values = {
            "observation.state.position": position,
            "observation.images.front": np.full((4, 5, 3), self._steps % 256, np.uint8),
            "simulator_state": np.array([os.getpid(), self._position[0]]),
        }
        known = self._steps > 0 and not self._mute
        return Observation(
            values=values,
            timestamps=dict.fromkeys(values, time.monotonic()),
            time=self._steps / 10,
            reward=float(self._position.sum()) if known else None,
            success=None if self._mute else bool(self._position[0] > 0),
            terminated=self._over,
            truncated=self._truncated,
            failed=self._failed,
        )

    def act(self, action: np.ndarray) -> np.ndarray:
        match int(action[1]):
            case 1:
                self._over = True
            case 2:
                raise ValueError("told to\nraise")
            case 3:
                die()
            case 4:
                time.sleep(1000)
            case 5:
                self._failed = True
            case 6:
                self._truncated = True
        sent = np.clip(action, (-1, 0), (1, 6)).astype(np.float32)
        self._position = self._position + 0.1 * sent[0] + 0.01 * self._random.normal(size=3)
        self._steps += 1
        return sent

    def close(self) -> None: ...


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
