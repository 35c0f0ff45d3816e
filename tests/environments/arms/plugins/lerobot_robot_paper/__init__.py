"""An arm of paper, as any third-party plugin of LeRobot looks: found by the name of its package.

Its servos are where they are told to be, and it writes down what it is told. What is in the file
``fault`` of its folder goes wrong: ``unplugged``, ``hangs``, ``frozen`` (the camera).
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from lerobot.cameras import Camera
from lerobot.robots import Robot
from lerobot.teleoperators import Teleoperator

from lerobot_robot_paper.config_paper import (
    PaperCameraConfig,
    PaperLeaderConfig,
    PaperRobotConfig,
)

JOINTS = ("turn.pos", "shoulder.pos", "elbow.pos", "gripper.pos")


def _fault(folder: Path) -> str:
    path = folder / "fault"
    return path.read_text() if path.is_file() else ""


class PaperRobot(Robot):
    config_class = PaperRobotConfig
    name = "paper"

    def __init__(self, config: PaperRobotConfig) -> None:
        config.calibration_dir = config.calibration_dir or config.folder
        super().__init__(config)
        self.config = config
        self._at = dict.fromkeys(JOINTS, 0.0) | config.start
        self._connected = False

    @property
    def observation_features(self) -> dict[str, Any]:
        return dict.fromkeys(JOINTS, float)

    @property
    def action_features(self) -> dict[str, Any]:
        return dict.fromkeys(JOINTS, float)

    @property
    def is_connected(self) -> bool:
        return self._connected

    @property
    def is_calibrated(self) -> bool:
        return not self.config.needs_calibration or bool(self.calibration)

    def connect(self, calibrate: bool = True) -> None:
        if _fault(self.config.folder) == "absent":
            raise ConnectionError("nobody answers\nat this port")
        self._connected = True
        self._log("connected")

    def calibrate(self) -> None:
        raise AssertionError("it must not be calibrated by the way")

    def configure(self) -> None: ...

    def get_observation(self) -> dict[str, Any]:
        self._go_wrong()
        return dict(self._at)

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        self._go_wrong()
        self._at |= action
        self._log([action[name] for name in JOINTS])
        return action

    def disconnect(self) -> None:
        self._connected = False
        self._log("disconnected")

    def _go_wrong(self) -> None:
        match _fault(self.config.folder):
            case "unplugged":
                raise ConnectionError("no such device")
            case "hangs":
                time.sleep(1.0)

    def _log(self, what: Any) -> None:
        with (self.config.folder / "log").open("a") as file:
            file.write(json.dumps([time.monotonic(), what]) + "\n")


class PaperCamera(Camera):
    def __init__(self, config: PaperCameraConfig) -> None:
        super().__init__(config)
        self._config = config
        self._number = 0
        self._connected = False

    @property
    def is_connected(self) -> bool:
        return self._connected

    @staticmethod
    def find_cameras() -> list[dict[str, Any]]:
        return []

    def connect(self, warmup: bool = True) -> None:
        self._connected = True

    def read(self) -> Any:
        return self.async_read()

    def async_read(self, timeout_ms: float = 200) -> Any:
        time.sleep(1 / self._config.fps)
        if _fault(self._config.folder) == "frozen":
            raise TimeoutError
        self._number += 1
        return np.full((self.height, self.width, 3), self._number % 256, np.uint8)

    def disconnect(self) -> None:
        self._connected = False


class PaperLeader(Teleoperator):
    """Its joints are where the file ``hand`` says, and sway about there by two degrees."""

    config_class = PaperLeaderConfig
    name = "paper_leader"

    def __init__(self, config: PaperLeaderConfig) -> None:
        config.calibration_dir = config.calibration_dir or config.folder
        super().__init__(config)
        self.config = config
        self._connected = False

    @property
    def action_features(self) -> dict[str, Any]:
        return dict.fromkeys(JOINTS, float)

    @property
    def feedback_features(self) -> dict[str, Any]:
        return {}

    @property
    def is_connected(self) -> bool:
        return self._connected

    @property
    def is_calibrated(self) -> bool:
        return True

    def connect(self, calibrate: bool = True) -> None:
        self._connected = True

    def calibrate(self) -> None: ...

    def configure(self) -> None: ...

    def get_action(self) -> dict[str, Any]:
        path = self.config.folder / "hand"
        values = json.loads(path.read_text()) if path.is_file() else [0.0] * len(JOINTS)
        sway = 2.0 * np.sin(np.pi * time.monotonic())
        return {name: value + sway for name, value in zip(JOINTS, values, strict=True)}

    def send_feedback(self, feedback: dict[str, Any]) -> None: ...

    def disconnect(self) -> None:
        self._connected = False
