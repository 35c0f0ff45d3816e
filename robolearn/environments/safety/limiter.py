"""Joint targets that respect limits of position, velocity, acceleration and jerk.

What is sent is always a state from which braking (`braking`) stays within all limits, by induction:
an arm at rest within its range is one; what is asked is sent, unchanged to the last bit, if it is
one, too; and where it is not, something between it and the next step of braking is sent, which is
one because the state before it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from robolearn.environments.safety.braking import (
    LONGEST,
    STILL,
    braking_acceleration,
    braking_path,
    comes_to_rest,
    way_to_rest,
)
from robolearn.environments.safety.reasons import Reason
from robolearn.episodes.frames import Array

_HALVINGS = 24
_ROUNDING = 1e-9
"""Share of a limit that floating-point numbers may be off by."""
_LAST_BIT = 1e-13
"""rad or m: what braking may foresee beyond the range, by rounding."""

_POSITION, _VELOCITY = int(Reason.POSITION), int(Reason.VELOCITY)
_ACCELERATION, _JERK, _STEP = int(Reason.ACCELERATION), int(Reason.JERK), int(Reason.STEP)


@dataclass(frozen=True)
class JointLimits:
    """Of J joints, in rad or m and seconds, each (J,).

    Attributes:
        low: least position.
        high: greatest position.
        velocity: greatest.
        acceleration: greatest.
        jerk: greatest.
        step: the farthest that a target may be from the one before it.

    Raises:
        ValueError: limits are not finite, or the wrong way round.
    """

    low: Array
    high: Array
    velocity: Array
    acceleration: Array
    jerk: Array
    step: Array

    def __post_init__(self) -> None:
        for name, values in vars(self).items():
            object.__setattr__(self, name, np.array(values, np.float64))
        sizes = {values.shape for values in vars(self).values()}
        if len(sizes) != 1 or len(next(iter(sizes))) != 1:
            raise ValueError("limits need one number a joint")
        if not all(np.isfinite(values).all() for values in vars(self).values()):
            raise ValueError("limits must be finite")
        if not (self.low < self.high).all():
            raise ValueError("a joint's least position must be below its greatest")
        rates = (self.velocity, self.acceleration, self.jerk, self.step)
        if not all((values > 0).all() for values in rates):
            raise ValueError("limits of velocity, acceleration, jerk and step must be positive")


class Limiter:
    """Sends what is asked where limits permit it, and otherwise what comes near to it.

    A target that cannot be reached at once is approached as fast as the limits allow, without
    running past it; a target that moves is caught up with. Positions are rad or m.

    Joints that move together stay on the straight way between where they are and what is asked: one
    that is held up holds up the others. So limits make a motion slower rather than another.

    Args:
        limits: of the joints.
        dt: seconds of a control step.
        together: (J,) whether a joint moves together with the others so marked; none if left out.

    Attributes:
        position: (J,) what was sent last.
        velocity: (J,) of what was sent.
        acceleration: (J,) of what was sent.
    """

    def __init__(self, limits: JointLimits, dt: float, together: Array | None = None) -> None:
        if not dt > 0:
            raise ValueError(f"a control step must last some time, not {dt}")
        self._limits = limits
        self._dt = dt
        size = len(limits.low)
        self._together = np.zeros(size, np.bool_)
        if together is not None:
            self._together[:] = together
        self._greatest = np.stack(
            [
                np.minimum(limits.velocity, limits.step / dt),
                limits.acceleration,
                limits.jerk,
                limits.velocity,
            ]
        )
        self._state = np.zeros((3, size))
        self._range = np.stack([limits.low, limits.high])
        self._asked_before = np.zeros(size)
        self._follows = np.ones(size, np.bool_)
        self._brake = np.zeros((3, size))
        self._next = np.zeros((3, size))
        self._path = np.zeros((LONGEST, size))
        self.reset(np.clip(np.zeros(size), limits.low, limits.high))
        self.limit(self.position.copy())
        self.blend(self.position.copy(), 1.0)
        self.candidate_path()
        self.brake()  # all is compiled now
        self.reset(self.position.copy())

    @property
    def position(self) -> Array:
        of_joints: Array = self._state[0]
        return of_joints

    @property
    def velocity(self) -> Array:
        of_joints: Array = self._state[1]
        return of_joints

    @property
    def acceleration(self) -> Array:
        of_joints: Array = self._state[2]
        return of_joints

    @property
    def at_rest(self) -> bool:
        """Whether what was sent last was sent before it, too."""
        return not self.velocity.any()

    def reset(self, position: Array) -> None:
        """Begin anew, at rest.

        Args:
            position: (J,). A joint that is outside of its range may only come in.

        Raises:
            ValueError: it is not finite.
        """
        position = np.array(position, np.float64)  # it may be the array that is cleared below
        if position.shape != self.position.shape or not np.isfinite(position).all():
            raise ValueError(f"joints cannot be at {position}")
        self._state[:] = 0.0
        self._state[0] = position
        self._asked_before[:] = position
        self._follows[:] = True
        np.minimum(self._limits.low, position, out=self._range[0])
        np.maximum(self._limits.high, position, out=self._range[1])

    def limit(self, asked: Array) -> int:
        """Find the candidate for what is asked; nothing is sent before `send` says so.

        Args:
            asked: (J,) finite.

        Returns:
            Bits of `Reason`; 0 where the candidate is what was asked.
        """
        return int(
            _limit(
                asked,
                self._state,
                self._range,
                self._greatest,
                self._dt,
                self._asked_before,
                self._follows,
                self._together,
                self._brake,
                self._next,
            )
        )

    def brake(self) -> None:
        """Make the next step of braking the candidate."""
        _braking(self._state, self._greatest, self._range, self._dt, self._brake)
        self._next[:] = self._brake
        self._follows[:] = False

    def blend(self, candidate: Array, share: float) -> bool:
        """Make something between braking and ``candidate`` the candidate.

        Args:
            candidate: (J,) that `limit` found.
            share: of it, 1 is the candidate itself and 0 braking.

        Returns:
            Whether it is permitted.
        """
        return bool(
            _blend(
                candidate,
                share,
                self._state,
                self._range,
                self._greatest,
                self._dt,
                self._brake,
                self._next,
            )
        )

    @property
    def candidate(self) -> Array:
        """(J,) what may be sent now. Overwritten at the next step."""
        of_joints: Array = self._next[0]
        return of_joints

    def candidate_path(self) -> Array:
        """(N, J) the candidate, and where braking from there leads; overwritten the next time."""
        steps = braking_path(
            self._next[0],
            self._next[1],
            self._next[2],
            self._dt,
            self._greatest[1],
            self._greatest[2],
            self._path[1:],
        )
        self._path[0] = self._next[0]
        path: Array = self._path[: steps + 1]
        return path

    def differs(self) -> None:
        """Something else than what is asked is going to be sent: it is to be caught up with."""
        self._follows[:] = False

    def send(self, asked: Array) -> Array:
        """The candidate becomes what was sent.

        Args:
            asked: (J,) that it stands for.

        Returns:
            (J,) what is to be sent.
        """
        self._state[:] = self._next
        self._asked_before[:] = asked
        low, high = self._range
        np.maximum(low, np.minimum(self._limits.low, self.position), out=low)
        np.minimum(high, np.maximum(self._limits.high, self.position), out=high)
        return self.position.copy()


@numba.njit(cache=True)
def _permitted(
    x: float,
    state: Array,
    within: Array,
    greatest: Array,
    dt: float,
    joint: int,
    following: Array,
) -> int:
    """Whether a joint may go to ``x``; bits of `Reason` that speak against it.

    Its position, velocity and acceleration there are written into (3, J) ``following``.
    """
    q, v, a = state[0, joint], state[1, joint], state[2, joint]
    fastest, greatest_a, greatest_j = greatest[0, joint], greatest[1, joint], greatest[2, joint]
    low, high = within[0, joint], within[1, joint]
    more = 1.0 + _ROUNDING
    new_v = (x - q) / dt
    new_a = (new_v - v) / dt
    following[0, joint], following[1, joint], following[2, joint] = x, new_v, new_a
    bits = 0
    if not low <= x <= high:
        bits |= _POSITION
    if abs(new_v) > fastest * more:
        bits |= _VELOCITY if abs(new_v) > greatest[3, joint] * more else 0
        bits |= _STEP if fastest < greatest[3, joint] else 0
    if abs(new_a) > greatest_a * more + _ROUNDING:
        bits |= _ACCELERATION
    if abs(new_a - a) > greatest_j * dt * more + _ROUNDING:
        bits |= _JERK
    if bits:
        return bits
    rest = comes_to_rest(
        x,
        new_v,
        new_a,
        dt,
        low - _LAST_BIT,
        high + _LAST_BIT,
        fastest * more,
        greatest_a,
        greatest_j,
    )
    if rest == 1:
        return _POSITION
    return _VELOCITY if rest else 0


@numba.njit(cache=True)
def _braking(state: Array, greatest: Array, within: Array, dt: float, brake: Array) -> None:
    for joint in range(state.shape[1]):
        q, v, a = state[0, joint], state[1, joint], state[2, joint]
        new_a = braking_acceleration(v, a, dt, greatest[1, joint], greatest[2, joint])
        new_v = v + new_a * dt
        if abs(new_v) <= STILL:
            new_v = 0.0  # what is left over by rounding
        x = q + new_v * dt
        if not within[0, joint] <= x <= within[1, joint]:  # by the last bit
            x = min(max(x, within[0, joint]), within[1, joint])
            new_v = (x - q) / dt
        brake[0, joint], brake[1, joint], brake[2, joint] = x, new_v, (new_v - v) / dt


@numba.njit(cache=True)
def _limit(
    asked: Array,
    state: Array,
    within: Array,
    greatest: Array,
    dt: float,
    asked_before: Array,
    follows: Array,
    together: Array,
    brake: Array,
    following: Array,
) -> int:
    _braking(state, greatest, within, dt, brake)
    reasons = 0
    for joint in range(asked.size):
        wanted = asked[joint]
        q, v, a = state[0, joint], state[1, joint], state[2, joint]
        fastest, greatest_a, greatest_j = greatest[0, joint], greatest[1, joint], greatest[2, joint]
        moves = (wanted - asked_before[joint]) / dt
        if abs(moves) > fastest:
            moves = 0.0  # it is another target, not one that moves
        bits = _permitted(wanted, state, within, greatest, dt, joint, following)
        if not bits:
            # One that was left behind is followed again when it can be stayed with.
            if follows[joint] or abs(following[1, joint] - moves) <= greatest_a * dt:
                follows[joint] = True
                continue
            bits = _ACCELERATION
        reasons |= bits
        follows[joint] = False
        low = max(
            within[0, joint],
            q - fastest * dt,
            q + (v - greatest_a * dt) * dt,
            q + (v + (a - greatest_j * dt) * dt) * dt,
        )
        high = min(
            within[1, joint],
            q + fastest * dt,
            q + (v + greatest_a * dt) * dt,
            q + (v + (a + greatest_j * dt) * dt) * dt,
        )
        safe = brake[0, joint]
        far = min(max(wanted, low), high)
        share, least, most = 1.0, 0.0, 1.0
        found = 0.0
        for _ in range(_HALVINGS):
            x = safe + share * (far - safe)
            good = not _permitted(x, state, within, greatest, dt, joint, following)
            if good:
                new_v, new_a = following[1, joint], following[2, joint]
                end = x + way_to_rest(new_v - moves, new_a, dt, greatest_a, greatest_j)
                good = (end - wanted) * (far - safe) <= 0.0
            if good:
                found = least = share
            else:
                most = share
            if good and share == 1.0:
                break
            share = 0.5 * (least + most)
        if found:
            _permitted(safe + found * (far - safe), state, within, greatest, dt, joint, following)
        else:
            following[:, joint] = brake[:, joint]
    if reasons:
        _keep_direction(asked, state, within, greatest, dt, together, brake, following)
    return reasons


@numba.njit(cache=True)
def _keep_direction(
    asked: Array,
    state: Array,
    within: Array,
    greatest: Array,
    dt: float,
    together: Array,
    brake: Array,
    following: Array,
) -> None:
    """Where one joint gets a share of its way, the others get no more of theirs, if they may.

    A joint that has to turn back first does not hold up the others.
    """
    share = 1.0
    for joint in range(asked.size):
        q = state[0, joint]
        way = asked[joint] - q
        if together[joint] and abs(way) > STILL:
            own = (following[0, joint] - q) / way
            if 0.0 <= own < share:
                share = own
    if share == 1.0:
        return
    found = np.empty(3)
    for joint in range(asked.size):
        if not together[joint]:
            continue
        q = state[0, joint]
        first, last = brake[0, joint], following[0, joint]
        x = min(max(q + share * (asked[joint] - q), min(first, last)), max(first, last))
        if x == last:
            continue
        found[:] = following[:, joint]
        if _permitted(x, state, within, greatest, dt, joint, following):
            following[:, joint] = found


@numba.njit(cache=True)
def _blend(
    candidate: Array,
    share: float,
    state: Array,
    within: Array,
    greatest: Array,
    dt: float,
    brake: Array,
    following: Array,
) -> bool:
    for joint in range(candidate.size):
        x = brake[0, joint] + share * (candidate[joint] - brake[0, joint])
        if _permitted(x, state, within, greatest, dt, joint, following):
            return False
    return True
