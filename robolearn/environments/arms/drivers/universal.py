"""Universal Robots' arms through ur_rtde: https://sdurobotics.gitlab.io/ur_rtde."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lerobot.robots import Robot, RobotConfig

from robolearn.errors import MissingDependency

_JOINTS = tuple(
    f"{name}.pos"
    for name in ("shoulder_pan", "shoulder_lift", "elbow", "wrist_1", "wrist_2", "wrist_3")
)
_UNUSED = 0.5
"""Speed and acceleration, which servoJ takes and does not use."""


@RobotConfig.register_subclass("robolearn_ur")
@dataclass
class UniversalConfig(RobotConfig):
    """How a UR is reached, and how its controller follows targets.

    Attributes:
        robot_ip: of its control box.
        period: seconds between targets, 1 / rate of the profile.
        lookahead: s, 0.03 to 0.2; the longer, the smoother.
        gain: 100 to 2000; the higher, the closer.
        deceleration: m/s² of the tool, when it stops servoing.
    """

    robot_ip: str
    period: float = 0.02
    lookahead: float = 0.1
    gain: float = 300.0
    deceleration: float = 5.0


class Universal(Robot):
    """Six joints in rad, by ``servoJ``.

    Args:
        config: how it is reached.

    Raises:
        MissingDependency: ur_rtde is not installed.
    """

    config_class = UniversalConfig
    name = "robolearn_ur"

    def __init__(self, config: UniversalConfig) -> None:
        super().__init__(config)
        try:
            import rtde_control
            import rtde_receive
        except ImportError as error:
            raise MissingDependency(
                f"Universal Robots' arms need ur_rtde: pip install 'robolearn[ur]' ({error})"
            ) from error
        self._control_library: Any = rtde_control
        self._receive_library: Any = rtde_receive
        self._config = config
        self._control: Any = None
        self._receive: Any = None

    @property
    def observation_features(self) -> dict[str, Any]:
        return dict.fromkeys(_JOINTS, float)

    @property
    def action_features(self) -> dict[str, Any]:
        return dict.fromkeys(_JOINTS, float)

    @property
    def is_connected(self) -> bool:
        return self._control is not None and bool(self._control.isConnected())

    @property
    def is_calibrated(self) -> bool:
        return True

    def connect(self, calibrate: bool = True) -> None:
        self._receive = self._receive_library.RTDEReceiveInterface(self._config.robot_ip)
        self._require_running()
        self._control = self._control_library.RTDEControlInterface(self._config.robot_ip)

    def calibrate(self) -> None:
        """Universal Robots' arms come calibrated."""

    def configure(self) -> None:
        """There is nothing to be set."""

    def get_observation(self) -> dict[str, Any]:
        self._require_running()
        return dict(zip(_JOINTS, map(float, self._receive.getActualQ()), strict=True))

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        goal = [float(action[name]) for name in _JOINTS]
        config = self._config
        taken = self._control.servoJ(
            goal, _UNUSED, _UNUSED, config.period, config.lookahead, config.gain
        )
        if not taken:
            raise ConnectionError(
                "the arm does not take targets: its program was stopped, or it was switched to "
                "local control"
            )
        return action

    def disconnect(self) -> None:
        control, receive = self._control, self._receive
        self._control = self._receive = None
        if control is not None:
            control.servoStop(self._config.deceleration)
            control.stopScript()
            control.disconnect()
        if receive is not None:
            receive.disconnect()

    def _require_running(self) -> None:
        if self._receive.isEmergencyStopped():
            raise ConnectionError("the arm's emergency stop is pressed")
        if self._receive.isProtectiveStopped():
            raise ConnectionError("the arm is in a protective stop: acknowledge it on its panel")
