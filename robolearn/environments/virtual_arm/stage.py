"""The virtual arm's table as the stage of an environment: a cube, and perhaps a hand."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from robolearn.environments.arms.profile import Arm
from robolearn.environments.arms.stage import Seen, Stage
from robolearn.environments.virtual_arm.faults import ArmName
from robolearn.environments.virtual_arm.model import JOINTS
from robolearn.environments.virtual_arm.virtual_arm import RunningArm
from robolearn.episodes.features import ENVIRONMENT_STATE, Feature
from robolearn.episodes.frames import Array
from robolearn.errors import FeatureMismatch

_CUBE = Feature(
    "float32",
    (7,),
    tuple(f"cube.{part}" for part in ("x", "y", "z", "qx", "qy", "qz", "qw")),
)
_TO_READY = 1.2
"""s in which the hand brings an arm to where an episode begins."""


class VirtualStage(Stage):
    """A cube that the seed puts somewhere, and that is to be lifted.

    ``observation.environment_state`` is the cube's pose in the frame of the arm's base, m and a
    unit quaternion: what a motion capture system would say.

    Args:
        running: the virtual arm.
        arm: whose profile says where an episode begins.
        led: which arm the scripted hand picks the cube up with; None where there is no hand.
    """

    def __init__(self, running: RunningArm, arm: Arm, led: ArmName | None) -> None:
        self._running = running
        self._hand = None if led is None else running.hand_on(led)
        self._ready = _joints_at_home(arm)

    @property
    def features(self) -> Mapping[str, Feature]:
        return {ENVIRONMENT_STATE: _CUBE}

    def clear(self) -> None:
        if self._hand is not None:
            self._hand.go_to(self._ready, _TO_READY)
            self._hand.wait()

    def set_up(self, seed: int) -> None:
        self._running.reset(seed)
        if self._hand is not None:
            self._hand.pick(seed)

    def look(self) -> Seen:
        world = self._running.world()
        now = time.monotonic()
        w, x, y, z = world.cube_quaternion
        pose = np.array([*world.cube_position, x, y, z, w], np.float32)
        return Seen({ENVIRONMENT_STATE: pose}, now, world.lifted)


def _joints_at_home(arm: Arm) -> Array:
    """(6,) rad, in the order of the servos.

    Raises:
        FeatureMismatch: the profile lacks one of them.
    """
    from robolearn.environments.virtual_arm.model import arm_model

    profile = arm.profile
    home = dict(zip(profile.names, profile.si("home"), strict=True))
    lacking = [f"{joint}.pos" for joint in JOINTS if f"{joint}.pos" not in home]
    if lacking:
        raise FeatureMismatch(
            f"{arm.path}: the virtual arm has a joint {lacking[0]}, and the profile has none; it "
            f"has {', '.join(profile.names)}"
        )
    joints = np.array([home[f"{joint}.pos"] for joint in JOINTS])
    low, high = arm_model().joint(JOINTS[-1]).range
    joints[-1] = low + joints[-1] * (high - low)  # the gripper's is a share of its way
    return joints
