from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "control"))
from hand_world import UP, Held, context, seen

from robolearn.agents.devices.device import HandMotion
from robolearn.agents.hand import Pose, hands_of
from robolearn.agents.hand_teleoperator import HandTeleoperator
from robolearn.episodes.features import ActionFeature
from robolearn.episodes.frames import EpisodeContext
from robolearn.errors import DeviceError, ShelfError

FACING = """<mujoco><worldbody>
<body name="robot0_base" quat="0.70710678 0 0 0.70710678"/>
<body name="robot1_base" quat="0.70710678 0 0 -0.70710678"/>
</worldbody></mujoco>"""


def test_a_way_becomes_shares_of_what_an_action_can_ask_for() -> None:
    agent = HandTeleoperator(Held(lambda step: np.array([0.01, 0, -0.2, 0, 0.1, 0])), context())
    agent.reset(0)
    action = agent.act(seen([0.0, 0, 0]))
    # −0.2 m is more than a person moves in a step: it is held.
    assert not action[:6].any()
    agent = HandTeleoperator(Held(lambda step: np.array([0.01, 0, -0.1, 0, 0.1, 0])), context())
    agent.reset(0)
    np.testing.assert_allclose(agent.act(seen([0.0, 0, 0])), [0.2, 0, -1, 0, 0.2, 0, -1], atol=1e-6)


def test_a_hand_that_jumped_is_followed_again_when_it_is_back() -> None:
    ways = [0.01, 1.0, 1.0, 0.06, 0.02, 0.03]
    device = Held(lambda step: np.array([ways[step - 1], 0, 0, 0, 0, 0]))
    agent = HandTeleoperator(device, context())
    agent.reset(0)
    moved = [agent.act(seen([0.0, 0, 0]))[0] for _ in ways]
    np.testing.assert_allclose(moved, [0.2, 0, 0, 0, 0.4, 0.6], atol=1e-6)
    assert agent.notice == ""


def test_two_arms_are_moved_along_the_worlds_axes() -> None:
    class Both(Held):
        def motions(self, hands: Sequence[Pose], period: float) -> Sequence[HandMotion]:
            way = np.array([0.05, 0, 0, 0, 0, 0])
            return [HandMotion(way, closed=False), HandMotion(way, closed=True)]

    agent = HandTeleoperator(Both(), context(2, FACING))
    agent.reset(0)
    action = agent.act(seen([0, 0, 0], [1, 0, 0]))
    np.testing.assert_allclose(action[:3], [0, -1, 0], atol=1e-6)
    np.testing.assert_allclose(action[7:10], [0, 1, 0], atol=1e-6)
    assert (action[6], action[13]) == (-1, 1)


def test_a_device_of_one_hand_does_not_drive_two() -> None:
    class One(Held):
        def motions(self, hands: Sequence[Pose], period: float) -> Sequence[HandMotion]:
            return [HandMotion(UP, closed=False)]

    agent = HandTeleoperator(One(), context(2, FACING))
    with pytest.raises(DeviceError, match="1 hands, and the task has 2"):
        agent.act(seen([0, 0, 0], [1, 0, 0]))


def test_joint_actions_are_refused_with_what_works() -> None:
    action = ActionFeature("float32", (2,), ("joint_1", "joint_2"), (-1,) * 2, (1,) * 2)
    joints = EpisodeContext(features={}, action=action, task="", rate=20.0)
    with pytest.raises(ShelfError, match=r"OSC_POSE, an arm with \[pose\].*joint_1, joint_2"):
        hands_of(joints)
