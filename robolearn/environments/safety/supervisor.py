"""What stands between whatever decides and the motors."""

from __future__ import annotations

from collections import Counter

import numpy as np

from robolearn.environments.safety.geometry import Geometry
from robolearn.environments.safety.limiter import JointLimits, Limiter
from robolearn.environments.safety.reasons import Reason, reasons_in
from robolearn.episodes.frames import Array

_SHARES = (0.5, 0.25, 0.125)
"""Of a step that is not permitted in space: tried before the arm brakes."""


class Supervisor:
    """Turns joint targets into ones that respect every limit.

    What it says to send is always the beginning of a way to come to rest that respects all limits:
    those of the joints by `Limiter`, those in space because the whole of that way is looked at
    before its first step is taken. A target that respects them all is sent as it is, to the last
    bit.

    Args:
        limits: of the joints.
        dt: seconds of a control step.
        geometry: of the arm in space, where there is a model.
        together: (J,) which joints keep the direction of their motion; see `Limiter`.

    Attributes:
        counts: how many steps were changed, by reason.
        steps: how many there were.
    """

    def __init__(
        self,
        limits: JointLimits,
        dt: float,
        geometry: Geometry | None = None,
        together: Array | None = None,
    ) -> None:
        self._limiter = Limiter(limits, dt, together)
        self._geometry = geometry
        self._asked = np.zeros(len(limits.low))
        self.counts: Counter[Reason] = Counter()
        self.steps = 0

    @property
    def position(self) -> Array:
        """(J,) what was sent last; rad or m."""
        return self._limiter.position

    @property
    def at_rest(self) -> bool:
        """Whether what is sent does not change any more."""
        return self._limiter.at_rest

    def reset(self, joints: Array) -> None:
        """The arm is there, at rest.

        Args:
            joints: (J,) rad or m.

        Raises:
            ValueError: they are not finite.
        """
        self._limiter.reset(joints)
        if self._geometry is not None:
            self._geometry.reset(self._limiter.position)

    def step(self, asked: Array) -> tuple[Array, int]:
        """What to send now.

        Args:
            asked: (J,) targets, whatever they are.

        Returns:
            (J,) to be sent, and bits of `Reason` if that is not what was asked.
        """
        self._asked[:] = asked
        asked = self._asked  # of the kind that it was compiled for
        if not np.isfinite(asked).all():
            return self.brake(Reason.NOT_FINITE)
        reasons = self._limiter.limit(asked)
        if self._geometry is not None:
            reasons |= self._within_space(self._geometry)
        return self._send(asked, reasons)

    def brake(self, reason: Reason) -> tuple[Array, int]:
        """Come to rest as soon as the joints' limits allow, step by step, and stay.

        Args:
            reason: why.

        Returns:
            As `step`.
        """
        self._limiter.brake()
        return self._send(self._limiter.candidate, int(reason))

    def _within_space(self, geometry: Geometry) -> int:
        limiter = self._limiter
        against = geometry.against(limiter.candidate_path())
        if not against:
            return 0
        limiter.differs()
        candidate = limiter.candidate.copy()
        for share in _SHARES:
            if limiter.blend(candidate, share) and not geometry.against(limiter.candidate_path()):
                return against
        limiter.brake()
        return against

    def _send(self, asked: Array, reasons: int) -> tuple[Array, int]:
        sent = self._limiter.send(asked)
        if self._geometry is not None:
            self._geometry.moved(sent)
        self.steps += 1
        for reason in reasons_in(reasons):
            self.counts[reason] += 1
        return sent, reasons
