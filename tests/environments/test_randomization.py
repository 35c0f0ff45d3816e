from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robolearn.control.playback import Playback
from robolearn.environments.fast_stepping import FastStepping, StockStepping
from robolearn.environments.randomization import (
    RANDOMIZATION,
    CameraPoses,
    Drawn,
    Dynamics,
    Lights,
    Randomization,
    Textures,
    recorded_world,
)
from robolearn.environments.rendering import select_gl
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import SimTask, load_task
from robolearn.episodes.features import SIMULATOR_STATE
from robolearn.errors import ShelfError, SimulationError

ALL = Randomization(Textures(), Lights(), CameraPoses(), Dynamics())
LOOKS = Randomization(Textures(), Lights(), CameraPoses())
OF = {
    "textures": {"mat_rgba", "geom_rgba"},
    "lights": {"light_pos", "light_dir", "light_diffuse", "light_specular"},
    "cameras": {"cam_pos", "cam_quat", "cam_fovy"},
    "dynamics": {
        *("body_mass", "body_inertia", "geom_friction", "dof_damping", "dof_armature"),
        *("dof_frictionloss", "body_subtreemass", "body_invweight0", "dof_invweight0", "dof_M0"),
        *("actuator_acc0", "cam_poscom0", "light_poscom0"),
    },
}
IMAGE = "observation.images.agentview"

rendering = pytest.mark.rendering
needs_gl = pytest.mark.skipif(select_gl() is None, reason="no GL library")


def make(
    randomization: Randomization, task: str = "lift", size: int | None = None
) -> RobosuiteEnvironment:
    found = dataclasses.replace(load_task(f"sim:{task}"), randomization=randomization)
    return RobosuiteEnvironment(found.with_cameras(("agentview",), size, size) if size else found)


def kinds(*names: str) -> Randomization:
    return Randomization(**{name: getattr(ALL, name) for name in names})


def values(environment: RobosuiteEnvironment) -> dict[str, np.ndarray]:
    """All of the compiled model."""
    model: Any = environment._env.sim.model._model
    found = {}
    for name in dir(model):
        # Memory that MuJoCo never writes is not the same twice.
        value = None if name.startswith(("_", "tex_data", "flex_")) else getattr(model, name)
        if isinstance(value, np.ndarray) and value.dtype != object:
            found[name] = value.copy()
    return found


def differing(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> set[str]:
    return {
        name
        for name in one
        if not np.array_equal(one[name], other[name], equal_nan=one[name].dtype.kind == "f")
    }


def driven(environment: RobosuiteEnvironment, steps: int = 15) -> list[np.ndarray]:
    size = environment.context.action.shape[0]
    states = [environment.vectors()[SIMULATOR_STATE]]
    for action in np.random.default_rng(0).uniform(-1, 1, (steps, size)):
        environment.act(action)
        states.append(environment.vectors()[SIMULATOR_STATE])
    return states


@pytest.fixture(scope="module")
def plain() -> Iterator[RobosuiteEnvironment]:
    environment = make(Randomization())
    yield environment
    environment.close()


@pytest.mark.parametrize("kind", OF)
def test_each_kind_changes_its_own_and_nothing_else(kind: str, plain: RobosuiteEnvironment) -> None:
    plain.reset(seed=3)
    environment = make(kinds(kind))
    environment.reset(seed=3)
    changed = differing(values(plain), values(environment))
    assert changed
    assert changed <= OF[kind]
    assert len(changed) >= 2
    one, other = driven(plain), driven(environment)
    np.testing.assert_array_equal(one[0], other[0])  # objects are where they were
    assert np.array_equal(one, other) == (kind != "dynamics")
    environment.close()


def test_a_kind_draws_the_same_whatever_else_is_on() -> None:
    environments = [make(kinds("lights")), make(ALL)]
    for environment in environments:
        environment.reset(seed=8)
    one, other = map(values, environments)
    for name in OF["lights"]:
        np.testing.assert_array_equal(one[name], other[name])
    for environment in environments:
        environment.close()


@pytest.mark.parametrize("task", ["lift", "door"])
def test_the_same_seed_gives_the_same_world_whatever_came_before(task: str) -> None:
    one, other = make(ALL, task), make(ALL, task)
    one.reset(seed=5)
    for seed in (1, 2, 5):
        other.reset(seed)
    assert differing(values(one), values(other)) == set()
    assert one.context.model_file == other.context.model_file
    np.testing.assert_array_equal(driven(one), driven(other))
    other.reset(seed=6)
    assert {"geom_friction", "cam_pos", "light_pos", "mat_rgba"} <= differing(
        values(one), values(other)
    )
    one.close()
    other.close()


def test_values_stay_within_their_ranges_and_do_not_drift(plain: RobosuiteEnvironment) -> None:
    plain.reset(seed=0)
    own = values(plain)
    settings = Randomization(
        Textures(strength=0.25), Lights(), CameraPoses(position=0.03), Dynamics(mass=0.1)
    )
    environment = make(settings)
    masses, places = [], []
    for seed in range(40):
        environment.reset(seed)
        now = values(environment)
        heavy = own["body_mass"] > 0
        masses.append(now["body_mass"][heavy] / own["body_mass"][heavy])
        places.append(now["cam_pos"] - own["cam_pos"])
        np.testing.assert_allclose(
            now["body_inertia"][heavy] / own["body_inertia"][heavy],
            np.repeat(masses[-1][:, None], 3, 1),
            rtol=1e-12,
        )
        assert np.abs(now["mat_rgba"] - own["mat_rgba"]).max() <= 0.25
        np.testing.assert_array_equal(now["mat_rgba"][:, 3], own["mat_rgba"][:, 3])
        np.testing.assert_allclose(np.linalg.norm(now["cam_quat"], axis=1), 1)
        np.testing.assert_allclose(np.linalg.norm(now["light_dir"], axis=1), 1)
    for drawn, most in ((np.array(masses) - 1, 0.1), (np.array(places), 0.03)):
        assert 0.95 * most < np.abs(drawn).max() <= most * 1.0001
        assert abs(drawn.mean()) < 0.1 * most
    environment._world._randomized.restore()
    assert differing(own, values(environment)) == set()
    environment.close()


def test_off_by_default(lift_task: SimTask, plain: RobosuiteEnvironment) -> None:
    assert not lift_task.randomization
    assert RANDOMIZATION not in plain.context.env_args
    before = values(plain)
    model_file = plain.context.model_file
    plain.reset(seed=9)
    assert differing(before, values(plain)) == set()
    assert plain.context.model_file == model_file


def test_what_repeats_it_is_in_the_episode(plain: RobosuiteEnvironment) -> None:
    environment = make(ALL)
    environment.reset(seed=11)
    context = environment.context
    assert context.env_args["env_kwargs"] == plain.context.env_args["env_kwargs"]
    assert recorded_world(context.env_args, context.seed) == Drawn(ALL, 11)
    assert recorded_world(plain.context.env_args, 11) is None
    environment.close()


@pytest.mark.parametrize(
    ("settings", "seed", "message"),
    [
        ({"textures": {"strength": 2}}, 1, r"randomization\.textures\.strength"),
        ({"sounds": {}}, 1, r"randomization\.sounds"),
        ([1], 1, "randomization"),
        ({"lights": {"position": 1e300}}, 1, r"lights\.position"),
        ({"lights": {}}, None, "with which seed"),
        ({"lights": {}}, -1, "with which seed"),
    ],
)
def test_damaged_settings_are_refused(settings: Any, seed: int | None, message: str) -> None:
    with pytest.raises(SimulationError, match=message) as caught:
        recorded_world({RANDOMIZATION: settings}, seed)
    assert "\n" not in str(caught.value)


def test_a_stored_world_is_simulated_again_to_the_last_bit(plain: RobosuiteEnvironment) -> None:
    environment = make(ALL)
    environment.reset(seed=4)
    context, recorded = environment.context, values(environment)
    assert context.model_file is not None
    plain.reset(seed=0)
    own = values(plain)
    plain.load_model(context.model_file, Drawn(ALL, 4))
    assert differing(recorded, values(plain)) == set()
    assert plain.context.model_file == context.model_file
    own_file = make_text(plain)
    plain.load_model(own_file)
    assert differing(own, values(plain)) == set()
    environment.close()


def make_text(environment: RobosuiteEnvironment) -> str:
    environment._world._randomized.restore()
    text = environment.context.model_file
    assert text is not None
    return text


def test_the_stored_text_says_what_was_drawn() -> None:
    """To tools that know no seeds."""
    environment = make(ALL, "can")
    environment.reset(seed=4)
    recorded = values(environment)
    text = environment.context.model_file
    other = make(Randomization(), "can")
    assert text is not None
    other.load_model(text)
    read = values(other)
    # What stands still has no mass; MuJoCo's text does not say so.
    heavy = recorded["body_mass"] > 0
    for name in ("body_mass", "body_inertia"):
        read[name], recorded[name] = read[name][heavy], recorded[name][heavy]
    for name in (
        *("body_mass", "body_inertia", "geom_friction", "dof_damping", "dof_frictionloss"),
        *("cam_pos", "cam_fovy", "light_pos", "light_diffuse", "mat_rgba", "geom_rgba"),
    ):
        np.testing.assert_allclose(read[name], recorded[name], rtol=1e-9, atol=1e-9, err_msg=name)
    # MuJoCo writes the inertia of what it did not draw in six digits.
    np.testing.assert_allclose(read["dof_armature"], recorded["dof_armature"], rtol=1e-4)
    np.testing.assert_allclose(read["dof_invweight0"], recorded["dof_invweight0"], rtol=1e-3)
    environment.close()
    other.close()


def test_compiled_stepping_is_robosuites_in_a_random_world() -> None:
    environments = [make(Randomization(dynamics=Dynamics(mass=0.5))) for _ in range(2)]
    for environment in environments:
        environment.reset(seed=2)
    fast, stock = environments
    assert isinstance(fast._stepping, FastStepping)
    stock._stepping = StockStepping(stock._env)
    one, other = (driven(environment, steps=10) for environment in environments)
    np.testing.assert_allclose(one, other, atol=1e-9)
    for environment in environments:
        environment.close()


@rendering
@needs_gl
@pytest.mark.parametrize("kind", ["textures", "lights", "cameras"])
def test_each_kind_of_looks_is_seen(kind: str) -> None:
    environment = make(kinds(kind), size=64)
    own = make(Randomization(), size=64)
    pictures = []
    for seed in (1, 2, 1):
        environment.reset(seed)
        own.reset(seed)
        pictures.append(environment.image(IMAGE).astype(int))
        assert np.abs(pictures[-1] - own.image(IMAGE)).mean() > 0.2
    assert not np.array_equal(pictures[0], pictures[1])
    np.testing.assert_array_equal(pictures[0], pictures[2])
    other = make(kinds(kind), size=64)
    other.reset(seed=1)
    np.testing.assert_array_equal(pictures[0], other.image(IMAGE))
    for each in (environment, own, other):
        each.close()


@rendering
@needs_gl
def test_dynamics_are_not_seen() -> None:
    environments = [make(kinds("dynamics"), size=64), make(Randomization(), size=64)]
    for environment in environments:
        environment.reset(seed=1)
    np.testing.assert_array_equal(*(environment.image(IMAGE) for environment in environments))
    for environment in environments:
        environment.close()


@rendering
@needs_gl
def test_playing_back_gives_the_observations_again(make_recorded: Any) -> None:
    environment = make(ALL, size=32)
    episodes = [make_recorded(environment, seed) for seed in (1, 2)]
    environment.close()
    other = make_recorded(own := make(Randomization(), size=32), 1)
    own.close()
    task = load_task("sim:lift").with_cameras(("agentview",), 32, 32)
    replay = Playback(task)
    for recorded in (*episodes, other, episodes[0]):
        again = replay.episode(recorded)
        assert again.context.env_args == recorded.context.env_args
        assert again.context.model_file == recorded.context.model_file
        for name, expected in recorded.observations.items():
            np.testing.assert_allclose(again.observations[name], expected, atol=1e-6)
        np.testing.assert_array_equal(recorded.images[IMAGE][0:5], again.images[IMAGE][0:5])
    assert not np.array_equal(episodes[0].images[IMAGE][0:1], other.images[IMAGE][0:1])
    replay.close()


@pytest.fixture
def make_recorded(tmp_path: Path) -> Any:
    from robolearn.agents.agent import Agent
    from robolearn.control.loop import run_episode
    from robolearn.episodes.recorder import Recorder

    numbers = itertools.count()

    class Shaking(Agent):
        def reset(self, seed: int) -> None:
            self._random = np.random.default_rng(seed)

        def act(self, observation: Any) -> np.ndarray:
            return self._random.uniform(-1, 1, 7).astype(np.float32)

    def make_episode(environment: RobosuiteEnvironment, seed: int) -> Any:
        simulator = dataclasses.replace(environment._task.simulator, horizon=5)
        environment._task = dataclasses.replace(environment._task, simulator=simulator)
        recorder = Recorder(tmp_path / f"{next(numbers)}.part", "shaking", wait=True)
        run_episode(environment, Shaking(), [recorder], seed=seed)
        return recorder.episode()

    return make_episode


def test_a_task_turns_kinds_on_by_name(tmp_path: Path) -> None:
    text = Path(__file__).parents[2].joinpath("sim", "lift.toml").read_text()
    path = tmp_path / "own.toml"
    path.write_text(text + "\n[randomization.lights]\n\n[randomization.dynamics]\nmass = 0.5\n")
    assert load_task(str(path)).randomization == Randomization(
        lights=Lights(), dynamics=Dynamics(mass=0.5)
    )
    for wrong, key in (
        ("[randomization.light]", "randomization.light: unknown key"),
        ("[randomization.lights]\npositoin = 1", "randomization.lights.positoin: unknown key"),
        ("[randomization.dynamics]\nmass = 1.0", "randomization.dynamics.mass"),
        ("[randomization.textures]\npatterns = []", "randomization.textures.patterns"),
        ('[randomization.textures]\npatterns = ["dots"]', "randomization.textures.patterns"),
    ):
        path.write_text(f"{text}\n{wrong}\n")
        with pytest.raises(ShelfError) as caught:
            load_task(str(path))
        assert key in str(caught.value)
        assert "\n" not in str(caught.value)
