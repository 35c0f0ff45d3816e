from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("mujoco", reason="models are read by MuJoCo")
sys.path.append(str(Path(__file__).parents[2] / "control"))
from hand_world import context

from robolearn.agents.devices import leader
from robolearn.agents.devices.leader import LeaderHand
from robolearn.agents.devices.registry import Setting
from robolearn.agents.devices.requests import Requests
from robolearn.agents.hand import Pose
from robolearn.environments.arms.presence import present
from robolearn.environments.arms.profile import Arm, Dragged, load_arm
from robolearn.errors import ArmError, DeviceError, ShelfError

HOME = Pose(np.array([0.1, 0.2, 0.3]), Rotation.identity())


@pytest.fixture
def arm() -> Arm:
    return load_arm("real:virtual-so101")


class Joints:
    """Stands in for LeRobot's device: the joints that a test holds."""

    joints: np.ndarray

    def __init__(self, arm: Arm) -> None:
        type(self).joints = arm.profile.si("home").copy()
        self.joints[-1] = 0.9

    def pose(self) -> np.ndarray:
        return self.joints.copy()

    def close(self) -> None: ...


def setting() -> Setting:
    return Setting(context(), Requests().add, lambda line: None)


def test_the_hand_goes_where_the_leader_goes(arm: Arm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "TeleoperatorAgent", Joints)
    device = LeaderHand(arm, setting())
    (motion,) = device.motions([HOME], 0.05)
    assert not motion.way.any()
    assert not motion.closed
    device._leader.joints[0] += 0.002  # a trembling hand moves nothing
    (motion,) = device.motions([HOME], 0.05)
    assert not motion.way.any()
    device._leader.joints[0] += 0.3  # the arm swings to one side, and turns
    device._leader.joints[-1] = 0.1
    (motion,) = device.motions([HOME], 0.05)
    assert np.linalg.norm(motion.way[:2]) > 0.05
    assert abs(motion.way[2]) < 1e-6
    assert abs(motion.way[5]) == pytest.approx(0.302, abs=1e-6)
    assert motion.closed
    reached = Pose(HOME.position + motion.way[:3], Rotation.from_rotvec(motion.way[3:]))
    (motion,) = device.motions([reached], 0.05)
    np.testing.assert_allclose(motion.way, 0, atol=1e-9)


def test_a_leader_that_does_not_answer(arm: Arm, monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Joints):
        def pose(self) -> np.ndarray:
            raise ArmError("the leader does not answer")

    monkeypatch.setattr(leader, "TeleoperatorAgent", Silent)
    with pytest.raises(DeviceError, match="does not answer"):
        LeaderHand(arm, setting()).motions([HOME], 0.05)


def test_without_a_model_nobody_knows_where_the_tool_is(arm: Arm) -> None:
    blind = replace(
        arm, profile=replace(arm.profile, model=None, workspace=None, dragged=Dragged())
    )
    with pytest.raises(ShelfError, match=r"\[model\]"):
        LeaderHand(blind, setting())


def test_lerobots_own_leader_moves_the_hand_and_its_gripper(arm: Arm) -> None:
    """LeRobot's driver of an SO-101 leader, on the virtual one, which a scripted hand moves."""
    pytest.importorskip("scservo_sdk", reason="LeRobot's drivers come with the extra real")
    with present(arm, "leader") as here:
        device = LeaderHand(here.arm, setting())
        try:
            assert here.stage is not None
            here.stage.clear()  # the scripted hand lifts the leader
            device.motions([HOME], 0.05)
            hand, lowest, closed = HOME, HOME.position[2], False
            here.stage.set_up(3)
            until = time.monotonic() + 20
            while time.monotonic() < until and not (closed and lowest < HOME.position[2] - 0.02):
                (motion,) = device.motions([hand], 0.05)
                hand = Pose(
                    hand.position + motion.way[:3],
                    Rotation.from_rotvec(motion.way[3:]) * hand.rotation,
                )
                lowest, closed = min(lowest, hand.position[2]), closed or motion.closed
                time.sleep(0.02)
        finally:
            device.close()
    assert lowest < HOME.position[2] - 0.02
    assert closed
