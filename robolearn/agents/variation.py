"""How a person does the same thing differently each time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from robolearn.environments.expert import VARIATIONS, Variation, VariationName
from robolearn.episodes.frames import Array

_CAREFUL = 0.1
"""Metres across, not up or down, within which a hand is moved the more carefully."""


class HumanVariation:
    """What varies during one episode.

    Each kind of variation draws from a generator of its own, so that turning one on leaves the
    others as they were.

    Args:
        variation: how much.
        names: of what is turned on.
        rate: control steps a second, Hz.
        shape: of the arms' actions, (robots, elements).
        random: its children are drawn from; itself it is left as it was.
    """

    def __init__(
        self,
        variation: Variation,
        names: Sequence[VariationName],
        rate: float,
        shape: tuple[int, int],
        random: np.random.Generator,
    ) -> None:
        self._variation = variation
        self._names = frozenset(names)
        self._rate = rate
        self._random = dict(zip(VARIATIONS, random.spawn(len(VARIATIONS)), strict=True))
        self._episode = self._random["speed"].standard_normal()
        self._along = self._random["speed"].standard_normal()
        self._disturbance: Array = self._random["noise"].standard_normal(shape)
        self._memory = float(np.exp(-1 / (variation.correlation * rate)))
        self._steps_of_pause = 0

    def step(self) -> None:
        """Go on to the next control step."""
        self._along = self._correlated(self._along, "speed")
        self._disturbance = self._correlated(self._disturbance, "noise")
        if self._steps_of_pause:
            self._steps_of_pause -= 1
        elif "pauses" in self._names:
            random = self._random["pauses"]
            if random.random() < self._variation.pauses / self._rate:
                self._steps_of_pause = round(random.uniform(*self._variation.pause) * self._rate)

    @property
    def speed(self) -> float:
        """Factor of the speed now: anywhere in its range, half of it decided by the episode."""
        if "speed" not in self._names:
            return 1.0
        low, high = self._variation.speed
        return low + (high - low) * float(ndtr((self._episode + self._along) / np.sqrt(2)))

    @property
    def paused(self) -> bool:
        """Whether the hands stand still now."""
        return self._steps_of_pause > 0

    def disturbance(self, robot: int, across: float) -> Array:
        """What an arm does now that it is not meant to, (A,), as a share of the full action.

        Args:
            robot: number of the arm.
            across: metres to the waypoint, but for up and down, at the closest that the arm has
                come. (What grows where the arm is far, would make it go farther still.)
        """
        size = self._variation.noise * min(1.0, across / _CAREFUL)
        if "noise" not in self._names or self.paused:
            size = 0.0
        disturbance: Array = size * self._disturbance[robot]
        return disturbance

    def detour(self, way: Array) -> Array | None:
        """Where a way leads through, (3,) from its beginning; None: straight on.

        Args:
            way: (3,) from its beginning to its end, m.
        """
        if not self._is_long(way):
            return None
        across = np.array([-way[1], way[0], 0.0])
        across /= max(float(np.linalg.norm(across)), 1e-9)
        directions = (across, -across, np.array([0.0, 0.0, 1.0]), None)
        random = self._random["approach"]
        direction = directions[random.integers(len(directions))]
        if direction is None:
            return None
        return way / 2 + self._variation.detour * random.uniform(0.5, 1.0) * direction

    def which(self, equivalents: int, way: Array) -> int:
        """Which of several equivalent grasps is taken, the first being the nearest."""
        if not self._is_long(way):
            return 0
        return int(self._random["approach"].integers(equivalents))

    def _is_long(self, way: Array) -> bool:
        return "approach" in self._names and across(way) > 2.5 * self._variation.detour

    def _correlated[T: (float, Array)](self, value: T, name: VariationName) -> T:
        """The next value of a process of unit variance (Ornstein and Uhlenbeck, 1930)."""
        fresh = self._random[name].standard_normal(np.shape(value))
        result: T = self._memory * value + np.sqrt(1 - self._memory**2) * fresh
        return result


def across(way: Array) -> float:
    """Length of a way, (3,), but for up and down, m."""
    return float(np.linalg.norm(way[:2]))
