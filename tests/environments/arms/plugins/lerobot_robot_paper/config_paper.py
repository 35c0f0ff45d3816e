from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lerobot.cameras import CameraConfig
from lerobot.robots import RobotConfig
from lerobot.teleoperators import TeleoperatorConfig


@RobotConfig.register_subclass("paper")
@dataclass
class PaperRobotConfig(RobotConfig):
    folder: Path
    port: str = "paper"
    start: dict[str, float] = field(default_factory=dict)
    needs_calibration: bool = False


@CameraConfig.register_subclass("paper")
@dataclass
class PaperCameraConfig(CameraConfig):
    folder: Path = Path()


@TeleoperatorConfig.register_subclass("paper_leader")
@dataclass
class PaperLeaderConfig(TeleoperatorConfig):
    folder: Path = Path()
