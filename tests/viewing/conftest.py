"""Small datasets, and recordings read back through Rerun's own reader."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rerun.experimental import RrdReader

from robolearn.environments.rendering import select_gl
from robolearn.episodes.dataset import Dataset
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ACTION, ActionFeature, Feature
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import EpisodeContext, Outcome
from robolearn.policies.action_heads.config import ActionHeadConfig, MixtureConfig
from robolearn.policies.config import PolicyConfig
from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.policy import Policy
from robolearn.policies.schema import PolicySchema

# MuJoCo keeps the GL backend that it was first imported with, and some tests here pretend that
# there is none.
select_gl()
pytest.importorskip("mujoco")

RATE = 10.0
CONFIG = PolicyConfig(
    memory=MemoryConfig(history=2, hidden=(8,)),
    action=ActionHeadConfig(mixture=MixtureConfig(modes=3)),
)
MODEL = """
<mujoco>
  <worldbody>
    <geom type="plane" size="3 3 0.1" group="1"/>
    <geom name="wall" type="box" size="0.1 3 2" pos="-3 0 1" group="1"/>
    <light pos="0 0 2"/>
    <camera name="overview" pos="2 0 1" xyaxes="0 1 0 -0.4 0 1"/>
    <camera name="agentview" pos="1 0 0.6" xyaxes="0 1 0 -0.5 0 1"/>
    <camera name="robot0_eye_in_hand" pos="0 0.5 1" xyaxes="1 0 0 0 1 0"/>
    <body name="table" pos="0 0 -0.1"><geom type="box" size="0.5 0.5 0.1" group="1"/></body>
    <body name="gripper" pos="0 0 0.3">
      <joint name="lift" type="slide" axis="0 0 1"/>
      <geom type="cylinder" size="0.02 0.05" group="1" rgba="0 1 0 1"/>
      <geom type="sphere" size="0.1" group="0"/>
    </body>
    <body name="cube" pos="0.1 0 0.02">
      <freejoint/>
      <geom type="box" size="0.02 0.02 0.02" group="1" rgba="1 0 0 1"/>
    </body>
  </worldbody>
</mujoco>
"""
CONTROLLER = {
    "env_name": "Lift",
    "env_kwargs": {
        "controller_configs": {
            "body_parts": {"right": {"type": "OSC_POSE", "output_max": [0.05, 0.04, 0.03, 1, 1, 1]}}
        }
    },
}
ACTION_FEATURE = ActionFeature(
    "float32",
    (5,),
    ("x", "y", "z", "rz", "gripper"),
    (-1.0,) * 5,
    (1.0,) * 5,
    (4,),
)
FEATURES = {
    "observation.state.robot0_eef_pos": Feature(
        "float32", (3,), ("robot0_eef_pos.x", "robot0_eef_pos.y", "robot0_eef_pos.z")
    ),
    "observation.environment_state": Feature(
        "float32",
        (6,),
        tuple(f"{n}.{a}" for n in ("cube_pos", "gripper_to_cube_pos") for a in "xyz"),
    ),
}
SIMULATOR = {"simulator_state": Feature("float64", (1 + 8 + 7,))}
IMAGE = {"observation.images.front": Feature("uint8", (24, 32, 3))}


def make_context(**changes: Any) -> EpisodeContext:
    return EpisodeContext(
        **(
            {
                "features": FEATURES | SIMULATOR,
                "action": ACTION_FEATURE,
                "task": "Lift the <b>cube</b> & hold it.",
                "rate": RATE,
                "env_args": CONTROLLER,
                "model_file": MODEL,
                "seed": 7,
            }
            | changes
        )
    )


def make_episode(
    context: EpisodeContext, steps: int, success: bool | None, seed: int = 0
) -> Episode:
    """Random but for the states, in which unit quaternions are unit quaternions."""
    draw = np.random.default_rng(seed)
    observations = {
        name: draw.normal(size=(steps, *feature.shape)).astype(feature.dtype)
        for name, feature in context.features.items()
        if not feature.is_image
    }
    time = 3.0 + np.arange(steps) / context.rate
    if "simulator_state" in observations and context.model_file is not None:
        states = observations["simulator_state"]
        states[:, 0] = time
        states[:, 5:9] /= np.linalg.norm(states[:, 5:9], axis=1, keepdims=True)
        states[:, 9:] = 0
    actions = draw.uniform(-1, 1, (steps, 5)).astype(np.float32)
    reached = np.arange(steps) >= steps - 2 if success else np.zeros(steps, bool)
    return Episode(
        context=context,
        observations=observations,
        images={
            name: draw.integers(0, 255, (steps, *feature.shape), np.uint8)
            for name, feature in context.features.items()
            if feature.is_image
        },
        actions=actions,
        actions_asked=actions,
        rewards=reached.astype(np.float32),
        success=reached,
        interventions=np.zeros(steps, bool),
        time=time,
        timestamps=dict.fromkeys((*context.features, ACTION), time),
        outcome=Outcome(steps, success, success, "horizon"),
        agent="tester",
        recorded_at=None,
    )


type Make = Callable[..., Dataset]


@pytest.fixture(scope="session")
def write_dataset() -> Make:
    """Writes a dataset with episodes of given lengths and outcomes, and opens it."""

    def write(
        folder: Path,
        steps: Sequence[int] = (6, 4),
        successes: Sequence[bool | None] = (True, False),
        **changes: Any,
    ) -> Dataset:
        context = make_context(**changes)
        with FolderWriter(folder) as writer:
            for seed, (length, success) in enumerate(zip(steps, successes, strict=True)):
                writer.add(make_episode(context, length, success, seed))
        return open_dataset(folder)

    return write


@pytest.fixture
def make_dataset(tmp_path: Path, write_dataset: Make) -> Make:
    """The same, in the test's own folder."""
    return functools.partial(write_dataset, tmp_path / "dataset")


@pytest.fixture(scope="session")
def plain() -> dict[str, Any]:
    """Changes that make a dataset without a simulated world."""
    return {"features": FEATURES, "model_file": None}


@pytest.fixture(scope="session")
def filmed() -> dict[str, Any]:
    """Changes that make a dataset with a recorded camera and without a simulated world."""
    return {"features": FEATURES | IMAGE, "model_file": None}


@pytest.fixture
def policy() -> Policy:
    """A policy with random weights that sees two frames."""
    schema = PolicySchema.of(make_context(), tuple(FEATURES))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Policy(schema, CONFIG).eval()


@dataclass
class Rows:
    """What a recording holds of one component of one entity, in the order of time."""

    time: list[float] = field(default_factory=list)
    frame: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)


class Recording:
    """A ``.rrd`` file, read back."""

    def __init__(self, path: Path) -> None:
        reader = RrdReader(str(path))
        self.application = reader.recordings()[0].application_id
        self._chunks = [
            (chunk.entity_path, chunk.to_record_batch()) for chunk in reader.stream().to_chunks()
        ]
        self.views: dict[str, str] = {}
        for store in reader.blueprints():
            names: dict[str, dict[str, str]] = {}
            for chunk in reader.stream(store=store).to_chunks():
                batch = chunk.to_record_batch()
                for column in batch.schema.names:
                    if column.startswith("ViewBlueprint:"):
                        value = batch.column(column).to_pylist()[-1]
                        names.setdefault(chunk.entity_path, {})[column[14:]] = value[0]
            self.views |= {view["display_name"]: view["space_origin"] for view in names.values()}

    @property
    def entities(self) -> set[str]:
        return {path for path, _ in self._chunks}

    @property
    def timelines(self) -> set[str]:
        return {
            name
            for path, batch in self._chunks
            if not path.startswith("/__")
            for name in batch.schema.names
            if ":" not in name and name != "rerun.controls.RowId"
        }

    def static(self, entity: str, component: str) -> Any:
        """The one value that holds at all times."""
        (value,) = (
            batch.column(component).to_pylist()[0]
            for path, batch in self._chunks
            if path == entity
            and component in batch.schema.names
            and "time" not in batch.schema.names
        )
        return value

    def rows(self, entity: str, component: str) -> Rows:
        rows = []
        for path, batch in self._chunks:
            if (
                path != entity
                or component not in batch.schema.names
                or "time" not in batch.schema.names
            ):
                continue
            times = batch.column("time").cast("int64").to_pylist()
            rows += zip(
                times,
                batch.column("frame").to_pylist(),
                batch.column(component).to_pylist(),
                strict=True,
            )
        rows.sort(key=lambda row: row[:2])
        return Rows([t / 1e9 for t, _, _ in rows], [f for _, f, _ in rows], [v for _, _, v in rows])


@pytest.fixture
def read_back() -> type[Recording]:
    return Recording


@pytest.fixture
def blind(monkeypatch):
    """There is no display."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


@pytest.fixture
def seeing(monkeypatch):
    """There is a display."""
    monkeypatch.setenv("DISPLAY", ":0")


@pytest.fixture
def fake_viewer(tmp_path, monkeypatch):
    """Puts a program of the test's own in the place of Rerun's viewer."""

    def replace(program):
        package = tmp_path / "fake" / "rerun_cli"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(program)
        monkeypatch.setenv("PYTHONPATH", str(package.parent))

    return replace
