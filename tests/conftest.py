"""What many tests start from: a small episode made of numbers, and the Lift task."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from robolearn.environments.rendering import select_gl
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import SimTask, load_task
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import EpisodeContext, Outcome

# Whichever test imports MuJoCo first, it renders with what is there.
select_gl()

# In the background of a script, Ctrl-C and a closed terminal are ignored, by the processes that
# tests start, too.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

REPOSITORY = Path(__file__).parents[1]

MakeEpisode = Callable[..., Episode]


@pytest.fixture
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def lift_demonstrations() -> Path:
    """The set that ships with the repository."""
    return REPOSITORY / "datasets" / "lift"


@pytest.fixture(scope="session")
def lift_task() -> SimTask:
    return load_task("sim:lift")


@pytest.fixture(scope="session")
def lift_environment(lift_task: SimTask) -> Iterator[RobosuiteEnvironment]:
    environment = RobosuiteEnvironment(lift_task)
    yield environment
    environment.close()


@pytest.fixture
def make_episode() -> MakeEpisode:
    """Episodes of an arm on a line: the hand goes to the goal, and there the gripper closes."""

    def make(steps: int = 12, seed: int = 0, image: bool = False) -> Episode:
        random = np.random.default_rng(seed)
        goal = random.uniform(-1, 1)
        position = np.linspace(0, goal, steps)
        features = {
            "observation.state.hand": Feature("float32", (2,), ("hand.x", "hand.y")),
            "observation.environment_state": Feature("float32", (1,), ("goal.x",)),
        }
        images = {}
        observations = {
            "observation.state.hand": np.stack([position, position**2], 1).astype(np.float32),
            "observation.environment_state": np.full((steps, 1), goal, np.float32),
        }
        if image:
            features["observation.images.front"] = Feature("uint8", (6, 8, 3))
            images["observation.images.front"] = random.integers(0, 256, (steps, 6, 8, 3), np.uint8)
        closed = np.where(np.arange(steps) < steps - 3, -1.0, 1.0)
        actions = np.stack([np.full(steps, goal / 2), closed], 1).astype(np.float32)
        times = np.arange(steps) * 0.1
        return Episode(
            context=EpisodeContext(
                features=features,
                action=ActionFeature(
                    "float32", (2,), ("x", "gripper"), low=(-1, -1), high=(1, 1), gripper=(1,)
                ),
                task="go there",
                rate=10.0,
                env_args={"env_name": "Line", "type": 1, "env_kwargs": {}},
                model_file="<mujoco/>",
                seed=seed,
            ),
            observations=observations,
            images=images,
            actions=actions,
            actions_asked=actions + np.float32(0.5),
            rewards=np.zeros(steps, np.float32),
            success=np.arange(steps) == steps - 1,
            interventions=np.arange(steps) == 1,
            time=times,
            timestamps=dict.fromkeys((*features, "action"), 1000 + times),
            outcome=Outcome(steps, True, True, "horizon"),
            agent="numbers",
            operator="Ada",
            notes="made of numbers",
            recorded_at="2026-01-02T03:04:05+00:00",
        )

    return make


@pytest.fixture
def line_dataset(tmp_path: Path, make_episode: MakeEpisode) -> Path:
    """Ten episodes, one of them for validation."""
    with FolderWriter(tmp_path / "line") as writer:
        for seed in range(10):
            writer.add(make_episode(seed=seed))
    return tmp_path / "line"
