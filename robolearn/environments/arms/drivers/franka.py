"""Franka's arms (Panda, FR3) through franky: https://github.com/TimSchneider42/franky."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lerobot.robots import Robot, RobotConfig

from robolearn.errors import MissingDependency

_JOINTS = tuple(f"joint_{number}.pos" for number in range(1, 8))
_GRIPPER = "gripper.pos"
_SAME_WIDTH = 2e-3
"""m: a gripper that is told less is not told anew, because each of its motions ends by stopping."""


@RobotConfig.register_subclass("robolearn_franka")
@dataclass
class FrankaConfig(RobotConfig):
    """How a Franka arm is reached.

    Attributes:
        robot_ip: of its control box.
        dynamics: share of Franka's own limits of velocity, acceleration and jerk that motions use.
        gripper_speed: m/s.
    """

    robot_ip: str
    dynamics: float = 0.3
    gripper_speed: float = 0.1


class Franka(Robot):
    """Seven joints in rad, and how far the gripper is open in m.

    Each target is an asynchronous ``JointMotion``, which takes the place of the one before it:
    franky plans on from where the arm is, and how fast it is, at 1 kHz. So the arm comes to rest at
    the last target by itself when no other follows.

    Args:
        config: how it is reached.

    Raises:
        MissingDependency: franky is not installed.
    """

    config_class = FrankaConfig
    name = "robolearn_franka"

    def __init__(self, config: FrankaConfig) -> None:
        super().__init__(config)
        try:
            import franky
        except ImportError as error:
            raise MissingDependency(
                f"Franka's arms need franky: pip install 'robolearn[franka]' ({error})"
            ) from error
        self._franky: Any = franky
        self._config = config
        self._arm: Any = None
        self._gripper: Any = None
        self._width: float | None = None

    @property
    def observation_features(self) -> dict[str, Any]:
        return dict.fromkeys((*_JOINTS, _GRIPPER), float)

    @property
    def action_features(self) -> dict[str, Any]:
        return dict.fromkeys((*_JOINTS, _GRIPPER), float)

    @property
    def is_connected(self) -> bool:
        return self._arm is not None

    @property
    def is_calibrated(self) -> bool:
        return True

    def connect(self, calibrate: bool = True) -> None:
        arm = self._franky.Robot(self._config.robot_ip)
        arm.recover_from_errors()
        arm.relative_dynamics_factor = self._config.dynamics
        self._gripper = self._franky.Gripper(self._config.robot_ip)
        self._arm = arm

    def calibrate(self) -> None:
        """Franka's arms come calibrated."""

    def configure(self) -> None:
        """There is nothing to be set."""

    def get_observation(self) -> dict[str, Any]:
        position = self._arm.current_joint_state.position
        joints = dict(zip(_JOINTS, map(float, position), strict=True))
        return {**joints, _GRIPPER: float(self._gripper.width)}

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        goal = [float(action[name]) for name in _JOINTS]
        self._arm.move(self._franky.JointMotion(goal), asynchronous=True)
        width = float(action[_GRIPPER])
        if self._width is None or abs(width - self._width) > _SAME_WIDTH:
            self._gripper.move_async(width, self._config.gripper_speed)
            self._width = width
        return action

    def disconnect(self) -> None:
        arm, self._arm, self._gripper = self._arm, None, None
        if arm is not None:
            arm.join_motion()  # it ends at the last target, at rest
