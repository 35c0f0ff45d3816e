"""A person's hand on an arm, as the physics has it: a spring that pulls the joints along a path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robolearn.episodes.frames import Array
from robolearn.errors import ConfigurationError

STIFFNESS = 60.0
"""N m/rad."""

_DAMPING = 2.0
_STRONGEST = 4.0
"""N m a joint, beside what carries the arm's own weight."""


@dataclass(frozen=True)
class Path:
    """Where the joints are to be, and when.

    Attributes:
        times: (T,) seconds from the beginning, increasing, the first zero.
        joints: (T, 6) radians, zero at the middle of each joint's range.

    Raises:
        ConfigurationError: the shapes differ, a number is not finite, or times do not increase.
    """

    times: Array
    joints: Array

    def __post_init__(self) -> None:
        if self.times.ndim != 1 or not len(self.times):
            raise ConfigurationError("a path needs times, (T,), and at least one")
        if self.joints.shape != (len(self.times), 6):
            raise ConfigurationError(
                f"a path of {len(self.times)} times needs joints ({len(self.times)}, 6), "
                f"not {self.joints.shape}"
            )
        if not (np.isfinite(self.times).all() and np.isfinite(self.joints).all()):
            raise ConfigurationError("a path has a number that is not finite")
        if self.times[0] != 0 or (np.diff(self.times) <= 0).any():
            raise ConfigurationError("the times of a path begin with zero and increase")

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.times[-1])

    def at(self, time: float) -> Array:
        """(6,) radians at a time, by linear interpolation; the last ones from the end on."""
        return np.array([np.interp(time, self.times, column) for column in self.joints.T])


class Hand:
    """What holds one arm, or does not."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._began = 0.0

    @property
    def holds(self) -> bool:
        """Whether it touches the arm."""
        return self._path is not None

    def moving(self, time: float) -> bool:
        """Whether it is still under way.

        Args:
            time: of the physics, s.
        """
        return self._path is not None and time - self._began < self._path.duration

    def follow(self, path: Path, time: float) -> None:
        """Take hold of the arm and lead it along a path, then hold it at its end."""
        self._path, self._began = path, time

    def release(self) -> None:
        """Let go."""
        self._path = None

    def torque(self, joints: Array, velocities: Array, weight: Array, time: float) -> Array:
        """(6,) N m on the joints.

        Args:
            joints: (6,) rad.
            velocities: (6,) rad/s.
            weight: (6,) N m that carry the arm where it is.
            time: of the physics, s.
        """
        if self._path is None:
            return np.zeros(6)
        pull = STIFFNESS * (self._path.at(time - self._began) - joints) - _DAMPING * velocities
        return weight + np.clip(pull, -_STRONGEST, _STRONGEST)
