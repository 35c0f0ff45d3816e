"""A hand moved by a leader arm of any make, through where its tool is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from robolearn.agents.devices.device import HandDevice, HandMotion
from robolearn.agents.devices.registry import Setting
from robolearn.agents.devices.views import seen_from_camera
from robolearn.agents.hand import Pose, hands_of
from robolearn.agents.teleoperator import TeleoperatorAgent
from robolearn.environments.arms.kinematics import ToolKinematics
from robolearn.environments.arms.profile import Arm
from robolearn.errors import ArmError, DeviceError, ShelfError

_SCALE = 1.5
"""How much further the hand goes than the leader's: a tabletop arm's reach is that much less."""
_BEGUN = 0.01, 0.05
"""m and rad by which the leader has to be moved before the hand follows it."""
_CLOSED, _OPEN = 0.4, 0.6
"""Shares of the gripper's way below which it counts as closed, and above which as open."""

_TO_PERSON = Rotation.from_matrix([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""From the leader's axes (forward, left, up) to the person's (right, away, up), who sits behind."""


class LeaderHand(HandDevice):
    """Moves the first hand as the tool of a leader arm moves, from where both are when it begins.

    The leader is LeRobot's ``Teleoperator`` of a profile on the shelf ``real/``, whose ``[model]``
    says where its tool is for its joints.

    Args:
        arm: whose profile has ``[leader]`` and ``[model]``.
        setting: what it is made for.

    Raises:
        ShelfError: the profile lacks one of them, or its gripper cannot be told.
        MissingDependency: a library of the driver is not installed.
        ArmError: the leader is absent, busy, or not calibrated.
    """

    help = (
        "move the leader arm: the hand follows, and its gripper",
        "enter  begin    y  keep    n  keep as failed    x  throw away    z  once more    q  end",
    )

    def __init__(self, arm: Arm, setting: Setting) -> None:
        profile = arm.profile
        self._tool = ToolKinematics(arm)
        grippers = [number for number, joint in enumerate(profile.joints) if joint.model is None]
        if len(grippers) != 1:
            raise ShelfError(
                f"{arm.path}: one joint has to be without a model's joint: it is the gripper"
            )
        self._gripper = grippers[0]
        self._ends = profile.si("low")[self._gripper], profile.si("high")[self._gripper]
        self._hands = len(hands_of(setting.context))
        self._to_world = seen_from_camera(setting.context.model_file) * _TO_PERSON
        self._leader = TeleoperatorAgent(arm)
        self.reset()

    def reset(self) -> None:
        self._begins: tuple[Pose, Pose] | None = None
        self._following = self._closed = False

    def motions(self, hands: Sequence[Pose], period: float) -> Sequence[HandMotion]:
        try:
            joints = self._leader.pose()
        except ArmError as error:
            raise DeviceError(str(error)) from error
        still = [HandMotion(np.zeros(6), closed=False) for _ in range(1, self._hands)]
        return [
            self._motion(Pose(*self._tool.pose(joints)), joints[self._gripper], hands[0]),
            *still,
        ]

    def close(self) -> None:
        self._leader.close()

    def _motion(self, leader: Pose, gripper: float, hand: Pose) -> HandMotion:
        low, high = self._ends
        share = (gripper - low) / (high - low)
        self._closed = share < (_OPEN if self._closed else _CLOSED)
        if self._begins is None:
            self._begins = leader, hand
        leader_began, hand_began = self._begins
        way = leader_began.error(leader)
        moved, turned = np.linalg.norm(way[:3]), np.linalg.norm(way[3:])
        if moved > _BEGUN[0] or turned > _BEGUN[1]:
            self._following = True
        if not self._following:
            return HandMotion(np.zeros(6), self._closed)
        wanted = Pose(
            hand_began.position + self._to_world.apply(_SCALE * way[:3]),
            Rotation.from_rotvec(self._to_world.apply(way[3:])) * hand_began.rotation,
        )
        return HandMotion(hand.error(wanted), self._closed)
