"""How a joint comes to rest, and whether it can: compiled, because it is asked at every step.

Time is counted in control steps of ``dt`` seconds. With targets q_k,

    v_k = (q_k − q_{k−1}) / dt,   a_k = (v_k − v_{k−1}) / dt,   j_k = (a_k − a_{k−1}) / dt

are what is limited. *Braking* is one fixed rule from (v, a) to the next acceleration: decelerate as
hard as acceleration A and jerk J allow, but no harder than can be ramped down to zero in the moment
in which the velocity is zero. A deceleration m now, then m − J dt, m − 2 J dt, … takes away

    f(m) = dt Σ_{i ≥ 0} max(0, m − i J dt),

so the rule is the largest m with f(m) ≤ |v|, within the limits. Since it looks at nothing but
(v, a), what it foresees at one step is what it does at the next: a joint that moves on only where
its braking stays within all limits can always brake within all limits.
"""

from __future__ import annotations

import math

import numba

from robolearn.episodes.frames import Array

LONGEST = 512
"""Control steps after which a joint that has not come to rest counts as unable to."""

STILL = 1e-12
"""rad/s or m/s, below which a joint is at rest."""


@numba.njit(cache=True)
def braking_acceleration(
    v: float, a: float, dt: float, greatest_a: float, greatest_j: float
) -> float:
    """The next acceleration of a joint that brakes.

    Args:
        v: velocity.
        a: acceleration.
        dt: seconds of a control step.
        greatest_a: limit of the acceleration.
        greatest_j: limit of the jerk.
    """
    jump = greatest_j * dt
    u = abs(v) / (jump * dt)
    wanted = 0.0
    if u > 0.0:
        ramps = math.ceil(0.5 * (math.sqrt(1.0 + 8.0 * u) - 1.0))
        ramps = max(ramps, 1)
        wanted = jump * (u + 0.5 * ramps * (ramps - 1)) / ramps
    wanted = -math.copysign(min(wanted, greatest_a), v)
    return min(max(wanted, a - jump, -greatest_a), a + jump, greatest_a)


@numba.njit(cache=True)
def comes_to_rest(
    q: float,
    v: float,
    a: float,
    dt: float,
    low: float,
    high: float,
    greatest_v: float,
    greatest_a: float,
    greatest_j: float,
) -> int:
    """Whether a joint that brakes from here stays within its limits.

    Returns:
        0: it does; 1: it leaves its range; 2: it gets too fast, or does not come to rest.
    """
    for _ in range(LONGEST):
        a = braking_acceleration(v, a, dt, greatest_a, greatest_j)
        v += a * dt
        q += v * dt
        if not low <= q <= high:
            return 1
        if abs(v) > greatest_v:
            return 2
        if abs(v) <= STILL and abs(a) <= greatest_j * dt:
            return 0
    return 2


@numba.njit(cache=True)
def way_to_rest(v: float, a: float, dt: float, greatest_a: float, greatest_j: float) -> float:
    """How much further a joint gets that brakes from here."""
    way = 0.0
    for _ in range(LONGEST):
        a = braking_acceleration(v, a, dt, greatest_a, greatest_j)
        v += a * dt
        way += v * dt
        if abs(v) <= STILL and abs(a) <= greatest_j * dt:
            break
    return way


@numba.njit(cache=True)
def braking_path(
    q: Array,
    v: Array,
    a: Array,
    dt: float,
    greatest_a: Array,
    greatest_j: Array,
    path: Array,
) -> int:
    """Where braking leads all joints, step by step.

    Args:
        q: (J,) positions.
        v: (J,) velocities.
        a: (J,) accelerations.
        dt: seconds of a control step.
        greatest_a: (J,) limits of the accelerations.
        greatest_j: (J,) limits of the jerks.
        path: (`LONGEST`, J) to write the positions into.

    Returns:
        Steps until all joints are at rest.
    """
    steps = 0
    for joint in range(q.size):
        position, velocity, acceleration = q[joint], v[joint], a[joint]
        count = 0
        while count < LONGEST:
            moving = abs(velocity) > STILL or abs(acceleration) > greatest_j[joint] * dt
            if not moving and count >= steps:
                break
            if moving:
                acceleration = braking_acceleration(
                    velocity, acceleration, dt, greatest_a[joint], greatest_j[joint]
                )
                velocity += acceleration * dt
                position += velocity * dt
            path[count, joint] = position
            count += 1
        # Those that came to rest earlier stay where they are.
        for earlier in range(joint):
            for step in range(steps, count):
                path[step, earlier] = path[steps - 1, earlier] if steps else q[earlier]
        steps = max(steps, count)
    return steps
