"""Profiles of the arm of paper, and what it was told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from robolearn.environments.arms.profile import Arm, load_arm

PLUGINS = Path(__file__).parent / "plugins"
if str(PLUGINS) not in sys.path:
    sys.path.insert(0, str(PLUGINS))

RATE = 50.0
PERIOD = 1 / RATE
JOINTS = ("turn.pos", "shoulder.pos", "elbow.pos", "gripper.pos")

MODEL = """
<mujoco>
  <compiler angle="radian"/>
  <worldbody>
    <body name="turret" pos="0 0 0.1">
      <joint name="turn" axis="0 0 1" range="-3 3"/>
      <geom type="cylinder" size="0.03 0.02"/>
      <body name="upper" pos="0 0 0.03">
        <joint name="shoulder" axis="0 1 0" range="-2 2"/>
        <geom type="capsule" size="0.015" fromto="0 0 0.03 0 0 0.18"/>
        <body name="lower" pos="0 0 0.2">
          <joint name="elbow" axis="0 1 0" range="-3 3"/>
          <geom type="capsule" size="0.015" fromto="0 0 0.03 0 0 0.18"/>
          <site name="tool" pos="0 0 0.2"/>
        </body>
      </body>
    </body>
  </worldbody>
</mujoco>
"""


def joint(name: str, **changes: Any) -> dict[str, Any]:
    gripper = name == "gripper.pos"
    return {
        "name": name,
        "unit": "percent" if gripper else "degrees",
        "low": 0.0 if gripper else -100.0,
        "high": 100.0,
        "home": 10.0 if gripper else 20.0,
        "velocity": 120.0,
        "acceleration": 1500.0,
        "jerk": 60000.0,
        **changes,
    }


def profile(folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "text": "Fold the paper.",
        "tried_on": "emulator",
        "rate": RATE,
        "horizon": 50,
        "approach": 1.0,
        "robot": {
            "type": "paper",
            "calibrated": False,
            "options": {"folder": str(folder), "id": "sheet", "port": f"paper{folder}"},
        },
        "joints": [joint(name) for name in JOINTS],
        **changes,
    }


def with_model(folder: Path, **changes: Any) -> dict[str, Any]:
    """The profile with a model, a box, and everything that needs them."""
    (folder / "paper.xml").write_text(MODEL)
    joints = [joint(name, model=name.removesuffix(".pos")) for name in JOINTS[:3]]
    return profile(
        folder,
        joints=[*joints, joint("gripper.pos")],
        model={"file": "paper.xml", "tool": "tool"},
        **changes,
    )


def camera(folder: Path) -> dict[str, Any]:
    return {
        "type": "paper",
        "options": {"folder": str(folder), "width": 32, "height": 24, "fps": 100},
    }


def leader(folder: Path) -> dict[str, Any]:
    options = {"folder": str(folder), "id": "hand"}
    return {"device": {"type": "paper_leader", "calibrated": False, "options": options}}


def write(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "paper.toml"
    path.write_text(tomli_w.dumps(content))
    return path


def load(folder: Path, content: dict[str, Any]) -> Arm:
    return load_arm(str(write(folder, content)))


def log(folder: Path) -> list[tuple[float, Any]]:
    path = folder / "log"
    lines = path.read_text().splitlines() if path.is_file() else []
    return [tuple(json.loads(line)) for line in lines]


def sent(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(T,) times and (T, J) targets that the arm was given, in its units."""
    rows = [(time, values) for time, values in log(folder) if isinstance(values, list)]
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


def fault(folder: Path, what: str) -> None:
    (folder / "fault").write_text(what)
