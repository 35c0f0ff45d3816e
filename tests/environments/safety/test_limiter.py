from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robolearn.environments.safety.limiter import JointLimits, Limiter
from robolearn.environments.safety.reasons import Reason

RATE = 30.0
DT = 1 / RATE
LIMITS = JointLimits(
    low=[-1.0, 0.0],
    high=[1.0, 0.05],
    velocity=[2.0, 0.1],
    acceleration=[15.0, 0.5],
    jerk=[300.0, 8.0],
    step=[0.06, 0.01],
)
SHARE_OF_ROUNDING = 1e-6


def require_within(sent: np.ndarray, limits: JointLimits = LIMITS, dt: float = DT) -> None:
    """``sent`` is (T, J), and begins at rest."""
    still = np.repeat(sent[:1], 3, axis=0)
    q = np.concatenate([still, sent])
    v = np.diff(q, axis=0) / dt
    a = np.diff(v, axis=0) / dt
    j = np.diff(a, axis=0) / dt
    more = 1 + SHARE_OF_ROUNDING
    assert (sent >= limits.low).all()
    assert (sent <= limits.high).all()
    assert (np.abs(v) <= limits.velocity * more).all()
    assert (np.abs(np.diff(q, axis=0)) <= limits.step * more).all()
    assert (np.abs(a) <= limits.acceleration * more).all()
    assert (np.abs(j) <= limits.jerk * more).all()


@pytest.fixture(scope="module")
def limiter() -> Limiter:
    return Limiter(LIMITS, DT)


def go(limiter: Limiter, asked: np.ndarray) -> int:
    reasons = limiter.limit(asked)
    limiter.send(asked)
    return reasons


def drive(limiter: Limiter, asked: np.ndarray, start: np.ndarray) -> np.ndarray:
    limiter.reset(start)
    sent = [start]
    for each in asked:
        go(limiter, each)
        sent.append(limiter.position.copy())
    return np.array(sent)


def test_what_is_permitted_passes_unchanged_to_the_last_bit(limiter: Limiter) -> None:
    time = np.arange(300) * DT
    way = 0.5 * (1 - np.cos(2 * time))
    asked = np.stack([0.4 * way + 0.1, 0.02 * way + 0.01], axis=1)
    # It begins with an acceleration from nothing, which the jerk's limit permits.
    limiter.reset(asked[0])
    for each in asked:
        assert limiter.limit(each) == 0
        np.testing.assert_array_equal(limiter.send(each), each)


def test_a_jump_is_approached_and_not_run_past(limiter: Limiter) -> None:
    sent = drive(limiter, np.tile([0.8, 0.04], (60, 1)), np.array([-0.8, 0.01]))
    require_within(sent)
    assert sent[:, 0].max() <= 0.8
    np.testing.assert_array_equal(sent[-1], [0.8, 0.04])


def test_a_jump_takes_hardly_longer_than_it_must(limiter: Limiter) -> None:
    sent = drive(limiter, np.tile([0.8, 0.04], (80, 1)), np.array([-0.8, 0.01]))
    arrived = int(np.flatnonzero(sent[:, 0] == 0.8)[0])
    fastest = min(2.0, 0.06 * RATE)
    ramps = fastest / 15.0 + 15.0 / 300.0
    assert arrived * DT < 1.6 / fastest + ramps + 6 * DT


def test_what_moves_is_caught_up_with(limiter: Limiter) -> None:
    asked = np.stack([-0.5 + 0.7 * np.arange(40) * DT, np.full(40, 0.02)], axis=1)
    sent = drive(limiter, asked, np.array([-0.9, 0.02]))
    require_within(sent)
    np.testing.assert_array_equal(sent[-1], asked[-1])


def test_a_small_twitch_is_smoothed_and_then_followed_again(limiter: Limiter) -> None:
    asked = np.stack([0.5 * np.arange(60) * DT, np.full(60, 0.02)], axis=1)
    asked[:10, 0] = 0.0  # it starts at once: too sudden
    sent = drive(limiter, asked, np.array([0.0, 0.02]))
    require_within(sent)
    np.testing.assert_array_equal(sent[30:], asked[29:])


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ([2.0, 0.02], Reason.POSITION),
        ([0.5, 0.02], Reason.VELOCITY),
        ([0.062, 0.02], Reason.STEP),
        ([0.0, 0.0201], Reason.JERK),
    ],
)
def test_reasons_are_told(limiter: Limiter, asked: list[float], reason: Reason) -> None:
    limiter.reset(np.array([0.0, 0.02]))
    if reason is Reason.JERK:
        asked = [0.0, 0.02 + 8.0 * 1.1 * DT**3]
    assert limiter.limit(np.array(asked)) & reason


def test_a_joint_outside_its_range_may_only_come_in(limiter: Limiter) -> None:
    sent = drive(limiter, np.tile([1.3, 0.02], (20, 1)), np.array([1.2, 0.02]))
    assert (sent[:, 0] == 1.2).all()
    inwards = drive(limiter, np.tile([0.5, 0.02], (90, 1)), np.array([1.2, 0.02]))
    assert (np.diff(inwards[:, 0]) <= 0).all()
    assert inwards[-1, 0] == 0.5
    go(limiter, np.array([1.2, 0.02]))
    for _ in range(60):
        go(limiter, np.array([1.2, 0.02]))
    assert limiter.position[0] == 1.0


def test_braking_ends_at_rest(limiter: Limiter) -> None:
    limiter.reset(np.array([-0.9, 0.01]))
    for _ in range(12):
        go(limiter, np.array([0.9, 0.04]))
    assert limiter.velocity[0] > 1.5
    seconds = limiter.velocity[0] / 15.0 + 15.0 / 300.0 + 3 * DT
    steps = 0
    while not limiter.at_rest:
        limiter.brake()
        limiter.send(limiter.position)
        steps += 1
        assert steps < 100
    assert steps * DT < seconds


def test_it_begins_anew_where_it_is(limiter: Limiter) -> None:
    drive(limiter, np.tile([0.8, 0.04], (9, 1)), np.array([-0.8, 0.01]))
    there = limiter.position.copy()
    limiter.reset(limiter.position)
    np.testing.assert_array_equal(limiter.position, there)
    assert limiter.at_rest


@pytest.mark.parametrize(
    "wrong",
    [
        {"low": [1.0, 0.0], "high": [-1.0, 0.05]},
        {"velocity": [0.0, 1.0]},
        {"jerk": [np.inf, 1.0]},
        {"step": [1.0]},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, list[float]]) -> None:
    with pytest.raises(ValueError, match=r"limits|least"):
        JointLimits(**(vars(LIMITS) | wrong))


EQUAL = JointLimits([-3.0] * 3, [3.0] * 3, [2.0] * 3, [15.0] * 3, [300.0] * 3, [1.0] * 3)


def test_joints_that_move_together_keep_the_direction() -> None:
    limiter = Limiter(EQUAL, DT, np.array([True, True, False]))
    way = np.array([1.0, -0.4, 0.5])
    sent = drive(limiter, np.tile(way, (60, 1)), np.zeros(3))
    require_within(sent, EQUAL)
    np.testing.assert_allclose(sent[:, 1], -0.4 * sent[:, 0], atol=1e-6)
    np.testing.assert_array_equal(sent[-1], way)
    # The one that does not belong to them is there before.
    assert np.flatnonzero(sent[:, 2] == 0.5)[0] < np.flatnonzero(sent[:, 0] == 1.0)[0] - 5
    # As soon as the slowest of them would be there alone.
    alone = drive(Limiter(EQUAL, DT), np.tile(way, (60, 1)), np.zeros(3))
    np.testing.assert_array_equal(sent[:, 0], alone[:, 0])


def test_a_path_that_is_too_fast_is_followed_more_slowly() -> None:
    phase = np.minimum(np.arange(150) * 0.05, np.pi)[:, None]
    asked = np.concatenate([np.cos(phase) - 1, np.sin(phase), 0 * phase], axis=1)
    asked *= 0.9 * np.minimum(np.arange(150) / 5, 1)[:, None]

    def astray(together: bool) -> float:
        """How far from the half circle it gets."""
        limiter = Limiter(slow, DT, np.full(3, together))
        sent = drive(limiter, asked, np.zeros(3))
        require_within(sent, slow)
        np.testing.assert_array_equal(sent[-1], asked[-1])
        return float(np.abs(np.hypot(sent[:, 0] + 0.9, sent[:, 1]) - 0.9).max())

    slow = JointLimits([-3.0] * 3, [3.0] * 3, [2.0, 1.0, 2.0], [15.0] * 3, [300.0] * 3, [1.0] * 3)
    assert astray(together=True) < 0.5 * astray(together=False)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-2, 2), st.floats(-2, 2), st.floats(-2, 2), st.integers(1, 15)),
        min_size=1,
        max_size=12,
    )
)
def test_joints_that_move_together_respect_limits_too_and_arrive(
    targets: list[tuple[float, float, float, int]],
) -> None:
    limits = JointLimits(
        [-1.0] * 3, [1.0] * 3, [2.0, 0.5, 4.0], [15.0, 5.0, 60.0], [300.0] * 3, [1.0] * 3
    )
    limiter = Limiter(limits, DT, np.array([True, True, True]))
    asked = np.array([target[:3] for target in targets for _ in range(target[3])])
    goal = np.clip(asked[-1], -1, 1)
    sent = drive(limiter, np.concatenate([asked, np.tile(goal, (300, 1))]), np.zeros(3))
    require_within(sent, limits)
    np.testing.assert_array_equal(sent[-1], goal)


numbers = st.floats(0.05, 30.0)
commands = st.lists(
    st.tuples(st.sampled_from(["jump", "drift", "hold", "brake", "extreme"]), st.floats(-1.5, 1.5)),
    min_size=1,
    max_size=120,
)


@settings(max_examples=300, deadline=None)
@given(commands, st.floats(0.1, 5.0), numbers, st.floats(1.0, 900.0), st.floats(10.0, 200.0))
def test_whatever_is_asked_limits_hold(
    commands: list[tuple[str, float]],
    velocity: float,
    acceleration: float,
    jerk: float,
    rate: float,
) -> None:
    dt = 1 / rate
    limits = JointLimits([-1.0], [1.0], [velocity], [acceleration], [jerk], [3.0])
    limiter = Limiter(limits, dt)
    limiter.reset(np.zeros(1))
    sent = [np.zeros(1)]
    target = np.zeros(1)
    for kind, number in commands:
        if kind == "brake":
            limiter.brake()
            limiter.send(limiter.position)
        else:
            match kind:
                case "jump":
                    target = np.array([number])
                case "drift":
                    target = target + number * velocity * dt
                case "extreme":
                    target = np.array([number * 1e30])
            before = limiter.position.copy()
            reasons = limiter.limit(target)
            limiter.send(target)
            if not reasons:
                np.testing.assert_array_equal(limiter.position, target)
            assert np.abs(limiter.position - before) <= 3.0 * (1 + 1e-9)
        sent.append(limiter.position.copy())
    # Wherever it was led to, it can come to rest.
    for _ in range(600):
        limiter.brake()
        limiter.send(limiter.position)
        sent.append(limiter.position.copy())
        if limiter.at_rest:
            break
    assert limiter.at_rest
    require_within(np.array(sent), limits, dt)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=80))
def test_a_motion_within_all_limits_is_never_changed(jerks: list[float]) -> None:
    """Drawn as jerks, and kept where a plain re-computation says that it can still stop."""
    other = Limiter(LIMITS, DT)
    limiter = Limiter(LIMITS, DT)
    start = np.array([0.0, 0.02])
    other.reset(start)
    limiter.reset(start)
    motion = [start]
    for share in jerks:
        asked = motion[-1] + share * np.array([0.06, 0.003])
        other.limit(asked)
        motion.append(other.send(asked))
    for each, after in pairwise(motion):
        np.testing.assert_array_equal(limiter.position, each)
        assert limiter.limit(after) == 0
        np.testing.assert_array_equal(limiter.send(after), after)
