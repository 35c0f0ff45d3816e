"""Hands that are tracked in space: what an arm follows, and when it holds still."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from robolearn.agents.devices.tracked import STALE, HandSample, TrackedHands
from robolearn.agents.hand import Pose
from robolearn.errors import DeviceError

FRAME = 1 / 60
ARM = Pose(np.array([0.5, 0.1, 1.0]), Rotation.from_rotvec([np.pi, 0.0, 0.0]))


class Person:
    """Holds one hand; time passes with each pose."""

    def __init__(self) -> None:
        self.now = 10.0
        self.hands = TrackedHands(lambda: self.now)
        self.sample = HandSample(self.now, Pose(np.zeros(3), Rotation.identity()), 0.0, 0.0)
        self.side = "right"
        self.does()

    def does(self, **changes: object) -> None:
        self.now += FRAME
        self.sample = replace(self.sample, time=self.now, **changes)
        self.hands.update({self.side: self.sample})

    def moves(self, *way: float) -> None:
        self.does(pose=self.sample.pose.moved(np.array(way)))

    def squeezes(self) -> None:
        self.does(squeeze=0.0)
        self.does(squeeze=1.0)

    def way(self, arm: Pose = ARM) -> np.ndarray:
        return self.hands.motions([arm], 0.05)[0].way

    def closed(self) -> bool:
        return self.hands.motions([ARM], 0.05)[0].closed


@pytest.fixture
def person() -> Person:
    return Person()


def test_nothing_moves_until_the_hand_squeezes(person: Person) -> None:
    person.moves(0.05, 0.0, 0.0)
    assert not person.way().any()
    assert person.hands.held()["right"] == "clutch"
    person.squeezes()
    assert not person.way().any()
    person.moves(0.05, 0.02, -0.01)
    np.testing.assert_allclose(person.way(), [0.05, 0.02, -0.01, 0, 0, 0], atol=1e-12)
    assert person.hands.held()["right"] is None


def test_what_is_left_of_the_way_is_from_where_the_arm_is(person: Person) -> None:
    person.squeezes()
    person.way()
    person.moves(0.06, 0.0, 0.0)
    there = ARM.moved(np.array([0.04, 0.0, 0.0]))
    np.testing.assert_allclose(person.way(there)[:3], [0.02, 0, 0], atol=1e-12)


def test_letting_go_and_squeezing_again_brings_the_hand_back_without_the_arm(
    person: Person,
) -> None:
    person.squeezes()
    person.way()
    person.does(squeeze=0.0)
    person.moves(-0.09, 0.0, 0.0)
    person.squeezes()
    assert not person.way().any()


def test_turning_the_hand_turns_the_arms_about_the_worlds_axes(person: Person) -> None:
    person.squeezes()
    person.way()
    turn = np.array([0.0, 0.0, 0.3])
    person.does(pose=Pose(np.zeros(3), Rotation.from_rotvec(turn)))
    np.testing.assert_allclose(person.way(), [0, 0, 0, *turn], atol=1e-9)


def test_the_scale_is_of_the_way_and_a_new_one_begins_from_here(person: Person) -> None:
    person.does(frame=(0.0, 0.5))
    person.squeezes()
    person.way()
    person.moves(0.08, 0.0, 0.0)
    np.testing.assert_allclose(person.way()[0], 0.04)
    person.does(frame=(0.0, 2.0))
    assert not person.way().any()
    person.moves(0.01, 0.0, 0.0)
    np.testing.assert_allclose(person.way()[0], 0.02)


def test_turning_the_frame_in_a_squeeze_moves_nothing(person: Person) -> None:
    person.squeezes()
    person.way()
    person.does(frame=(1.0, 1.0), pose=Pose(np.array([0.0, 0.03, 0.0]), Rotation.identity()))
    assert not person.way().any()


def test_the_gripper_follows_the_trigger_while_the_hand_squeezes(person: Person) -> None:
    person.does(trigger=1.0)
    assert not person.closed()
    person.squeezes()
    assert person.closed()
    person.does(trigger=0.5)
    assert person.closed(), "between the two thresholds it stays as it is"
    person.does(squeeze=0.0, trigger=0.0)
    assert person.closed(), "what is held is not dropped by letting go of the clutch"
    person.squeezes()
    assert not person.closed()


def lose(person: Person) -> None:
    person.does(pose=None)


def jump(person: Person) -> None:
    person.moves(1.0, 0.0, 0.0)


def spin(person: Person) -> None:
    person.does(pose=Pose(person.sample.pose.position, Rotation.from_rotvec([0, 1.5, 0])))


def stall(person: Person) -> None:
    person.now += STALE
    person.does()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(lose, "tracking"), (jump, "jump"), (spin, "jump"), (stall, "stale")],
)
def test_a_fault_in_a_grasp_holds_still_until_a_new_squeeze(
    person: Person, fault: Callable[[Person], None], reason: str
) -> None:
    person.does(trigger=1.0)
    person.squeezes()
    person.way()
    person.moves(0.05, 0.0, 0.0)
    assert person.way().any()
    assert person.closed()
    fault(person)
    assert not person.way().any()
    assert person.closed(), "what is held is not dropped"
    assert person.hands.held()["right"] == reason
    person.does(pose=Pose(np.full(3, 0.4), Rotation.identity()))
    person.moves(0.05, 0.0, 0.0)
    assert not person.way().any(), "the clutch was not let go of"
    person.squeezes()
    person.way()
    person.moves(0.03, 0.0, 0.0)
    np.testing.assert_allclose(person.way()[:3], [0.03, 0, 0], atol=1e-12)


def test_no_message_at_all_holds_still(person: Person) -> None:
    person.squeezes()
    person.way()
    person.moves(0.05, 0.0, 0.0)
    person.now += STALE * 0.9
    assert person.way().any()
    person.now += STALE * 0.2
    assert not person.way().any()
    assert person.hands.held()["right"] == "stale"


def test_a_lost_connection_holds_still(person: Person) -> None:
    person.squeezes()
    person.way()
    person.moves(0.05, 0.0, 0.0)
    person.hands.let_go("lost")
    assert not person.way().any()
    person.moves(0.05, 0.0, 0.0)
    assert not person.way().any()


def test_an_episode_begins_with_open_grippers_and_without_motion(person: Person) -> None:
    person.does(trigger=1.0)
    person.squeezes()
    assert person.closed()
    person.hands.reset()
    person.moves(0.05, 0.0, 0.0)
    assert not person.way().any()
    assert not person.closed()


def test_one_arm_goes_with_whichever_hand_squeezes(person: Person) -> None:
    person.side = "left"
    person.does()
    person.squeezes()
    person.way()
    person.moves(0.0, 0.04, 0.0)
    np.testing.assert_allclose(person.way()[:3], [0, 0.04, 0], atol=1e-12)


def test_two_arms_go_with_a_hand_each_the_first_with_the_right_one(person: Person) -> None:
    other = HandSample(person.now, Pose(np.zeros(3), Rotation.identity()), 0.0, 0.0)
    person.squeezes()
    person.hands.motions([ARM, ARM], 0.05)
    person.moves(0.05, 0.0, 0.0)
    person.hands.update({"left": replace(other, time=person.now)})
    right, left = person.hands.motions([ARM, ARM], 0.05)
    np.testing.assert_allclose(right.way[:3], [0.05, 0, 0], atol=1e-12)
    assert not left.way.any()


def test_a_person_has_two_hands(person: Person) -> None:
    with pytest.raises(DeviceError, match="two hands, and this robot has 3 arms"):
        person.hands.motions([ARM] * 3, 0.05)
