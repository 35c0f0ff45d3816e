from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robolearn.environments import rendering
from robolearn.environments.fast_stepping import StockStepping
from robolearn.environments.rendering import CameraRenderer, select_gl
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.robosuite_import import import_robosuite
from robolearn.environments.task import Cameras, JointController, SimTask, load_task
from robolearn.episodes.features import SIMULATOR_STATE
from robolearn.errors import ConfigurationError, MissingDependency, SimulationError
from robolearn.shelf import table_names


def run(environment: RobosuiteEnvironment, seed: int, steps: int = 12) -> list[np.ndarray]:
    environment.reset(seed)
    actions = np.random.default_rng(seed).uniform(-1, 1, (steps, 7))
    states = []
    for action in actions:
        environment.act(action)
        states.append(environment.observe().values[SIMULATOR_STATE])
    return states


def test_what_it_observes_is_what_it_says(lift_environment: RobosuiteEnvironment) -> None:
    lift_environment.reset(seed=0)
    observation = lift_environment.observe()
    features = lift_environment.context.features
    assert set(observation.values) == set(features) == set(observation.timestamps)
    for name, feature in features.items():
        assert observation.values[name].shape == feature.shape
        assert observation.values[name].dtype == feature.dtype
    assert observation.success is False
    assert observation.time == 0.0
    lift_environment.act(np.zeros(7))
    assert lift_environment.observe().time == pytest.approx(0.05)


def test_a_seed_decides_the_episode_whatever_came_before(
    lift_environment: RobosuiteEnvironment, lift_task: SimTask
) -> None:
    first = run(lift_environment, seed=3)
    run(lift_environment, seed=4)
    again = run(lift_environment, seed=3)
    np.testing.assert_array_equal(first, again)
    other = RobosuiteEnvironment(lift_task)
    np.testing.assert_array_equal(first, run(other, seed=3))
    other.close()
    assert not np.array_equal(first, run(lift_environment, seed=5))


def test_numpys_generator_is_left_as_it_was(lift_environment: RobosuiteEnvironment) -> None:
    np.random.seed(7)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    lift_environment.reset(seed=1)
    assert np.random.random() == expected  # noqa: NPY002


def test_an_action_is_limited_and_what_was_sent_is_returned(
    lift_environment: RobosuiteEnvironment,
) -> None:
    lift_environment.reset(seed=0)
    sent = lift_environment.act(np.array([3, -3, 0.5, 0, 0, 0, 9.0]))
    np.testing.assert_array_equal(sent, np.array([1, -1, 0.5, 0, 0, 0, 1], np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_action_that_is_not_finite_is_refused(
    lift_environment: RobosuiteEnvironment, bad: float
) -> None:
    lift_environment.reset(seed=0)
    before = lift_environment.observe().values[SIMULATOR_STATE]
    with pytest.raises(ValueError, match="not finite"):
        lift_environment.act(np.array([0, 0, bad, 0, 0, 0, 0]))
    np.testing.assert_array_equal(before, lift_environment.observe().values[SIMULATOR_STATE])


def test_the_model_names_no_folder_of_this_machine(lift_environment: RobosuiteEnvironment) -> None:
    model_file = lift_environment.context.model_file
    assert model_file is not None
    assert 'file="robosuite/models/assets' in model_file
    assert 'file="/' not in model_file


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"environment": "Life"}, "unknown task 'Life'; robosuite has .*Lift"),
        ({"robots": ("Pandas",)}, "unknown robot 'Pandas'; robosuite has .*Panda"),
    ],
)
def test_what_robosuite_does_not_know_is_refused(
    lift_task: SimTask, change: dict[str, str], message: str
) -> None:
    task = dataclasses.replace(
        lift_task, simulator=dataclasses.replace(lift_task.simulator, **change)
    )
    with pytest.raises(SimulationError, match=message):
        RobosuiteEnvironment(task)


def test_an_unknown_observable_lists_the_known(lift_task: SimTask) -> None:
    observation = dataclasses.replace(lift_task.observation, state=("robot0_eef_position",))
    with pytest.raises(SimulationError, match=r"robosuite has .*robot0_eef_pos"):
        RobosuiteEnvironment(dataclasses.replace(lift_task, observation=observation))


def test_what_was_made_is_closed_where_the_constructor_fails(
    lift_task: SimTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = import_robosuite().environments.base.MujocoEnv
    closed = []
    close = base.close
    monkeypatch.setattr(base, "close", lambda env: (close(env), closed.append(env)))
    observation = dataclasses.replace(lift_task.observation, state=("robot0_eef_position",))
    with pytest.raises(SimulationError, match="observable"):
        RobosuiteEnvironment(dataclasses.replace(lift_task, observation=observation))
    assert [env.sim for env in closed] == [None]


def test_a_closed_environment_says_so(lift_task: SimTask) -> None:
    environment = RobosuiteEnvironment(lift_task)
    environment.reset(seed=0)
    context, observation = environment.context, environment.observe()
    environment.close()
    environment.close()
    uses: list[Callable[[], object]] = [
        environment.observe,
        lambda: environment.act(np.zeros(7)),
        lambda: environment.reset(seed=0),
        lambda: environment.reset_to(observation.values[SIMULATOR_STATE]),
        lambda: environment.load_model(str(context.model_file)),
        lambda: environment.context,
    ]
    for use in uses:
        with pytest.raises(SimulationError, match="closed: make another"):
            use()


@pytest.mark.rendering
@pytest.mark.skipif(select_gl() is None, reason="no GL library")
def test_cameras_see_the_cube_move(lift_task: SimTask) -> None:
    environment = RobosuiteEnvironment(lift_task.with_cameras(("agentview",), 48, 64))
    try:
        environment.reset(seed=0)
        image = environment.observe().values["observation.images.agentview"]
        assert image.shape == (48, 64, 3)
        assert image.dtype == np.uint8
        red = (image[..., 0] > 90) & (image[..., 1] < 60) & (image[..., 2] < 60)
        assert 3 < red.sum() < 300, "the red cube is a small part of the picture"
        environment.reset(seed=0)
        np.testing.assert_array_equal(
            image, environment.observe().values["observation.images.agentview"]
        )
        environment.reset(seed=5)
        assert not np.array_equal(
            image, environment.observe().values["observation.images.agentview"]
        )
    finally:
        environment.close()


@pytest.mark.rendering
@pytest.mark.skipif(select_gl() is None, reason="no GL library")
def test_an_unknown_camera_lists_the_known(lift_task: SimTask) -> None:
    task = dataclasses.replace(lift_task, cameras=Cameras(("front",), 48, 64))
    with pytest.raises(SimulationError, match=r"no camera 'front'; there are .*agentview"):
        RobosuiteEnvironment(task)


def test_without_a_gl_library_cameras_name_the_package(
    lift_task: SimTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(rendering, "_loads", lambda library: False)
    with pytest.raises(MissingDependency, match="apt-get install libegl1"):
        RobosuiteEnvironment(lift_task.with_cameras(("agentview",), 48, 64))
    assert os.environ["MUJOCO_GL"] == "disable"


@pytest.mark.parametrize(
    ("chosen", "left"), [("egl", "disable"), ("osmesa", "disable"), ("glfw", "glfw")]
)
def test_a_chosen_backend_whose_library_is_missing_is_switched_off(
    monkeypatch: pytest.MonkeyPatch, chosen: str, left: str
) -> None:
    monkeypatch.setenv("MUJOCO_GL", chosen)
    monkeypatch.setattr(rendering, "_loads", lambda library: False)
    select_gl()
    assert os.environ["MUJOCO_GL"] == left


def test_an_unknown_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    with pytest.raises(ConfigurationError, match="MUJOCO_GL is 'nonsense'"):
        select_gl()


def test_states_need_no_gl_library() -> None:
    """In a process of its own, because MuJoCo decides on a backend when it is imported."""
    program = (
        "from robolearn.environments import rendering\n"
        "rendering._loads = lambda library: False\n"
        "from robolearn.environments.robosuite import RobosuiteEnvironment\n"
        "from robolearn.environments.task import load_task\n"
        "environment = RobosuiteEnvironment(load_task('sim:lift'))\n"
        "environment.reset(seed=0)\n"
        "import os; print(len(environment.observe().values), os.environ['MUJOCO_GL'])\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "MUJOCO_GL"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["6", "disable"]
    assert done.stderr == ""


def test_the_renderer_says_what_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    import mujoco

    model = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody><camera name='c'/></worldbody></mujoco>"
    )

    def broken(*arguments: object) -> None:
        raise RuntimeError("no display")

    monkeypatch.setattr(mujoco, "MjrContext", broken)
    monkeypatch.setenv("MUJOCO_GL", "egl")
    with pytest.raises(MissingDependency, match=r"'egl' does not start \(no display\)"):
        CameraRenderer(model, ["c"], 10, 10)


def shelf() -> list[str]:
    files = (Path(__file__).parents[2] / "sim").glob("*.toml")
    return sorted(path.stem for path in files if "simulator" in table_names(path))


@pytest.mark.parametrize("name", shelf())
def test_each_task_of_the_shelf_runs_and_repeats(name: str) -> None:
    environment = RobosuiteEnvironment(load_task(f"sim:{name}"))
    try:
        action = environment.context.action
        assert len(set(action.names or ())) == len(action.low)
        assert len(action.scale) == len(action.low)
        random = np.random.default_rng(0)
        actions = random.uniform(action.low, action.high, (5, len(action.low)))
        seen = []
        for _ in range(2):
            environment.reset(seed=3)
            for sent in actions:
                environment.act(sent)
            observation = environment.observe()
            seen.append(observation.values)
            assert observation.success is False
        assert seen[0].keys() == environment.context.features.keys()
        for feature, value in seen[0].items():
            assert value.shape == environment.context.features[feature].shape
            np.testing.assert_array_equal(value, seen[1][feature])
    finally:
        environment.close()


@pytest.mark.parametrize("robot", ["Panda", "Sawyer", "IIWA", "UR5e", "Kinova3", "Jaco"])
def test_each_arm_can_be_moved(robot: str) -> None:
    task = load_task("sim:lift")
    simulator = replace(task.simulator, robots=(robot,))
    environment = RobosuiteEnvironment(replace(task, simulator=simulator))
    try:
        before = environment.vectors()["observation.state.robot0_eef_pos"]
        for _ in range(10):
            environment.act(np.array([0, 0, 1, 0, 0, 0, -1]))
        after = environment.vectors()["observation.state.robot0_eef_pos"]
        assert after[2] - before[2] > 0.05
    finally:
        environment.close()


@pytest.mark.parametrize(
    ("controller", "moved"),
    [
        (JointController("JOINT_POSITION", limit=0.05), 0.05),
        (JointController("JOINT_VELOCITY", limit=0.5), 0.1),
    ],
)
def test_joints_can_be_driven(controller: JointController, moved: float) -> None:
    task = load_task("sim:lift")
    simulator = replace(task.simulator, controller=controller)
    environment = RobosuiteEnvironment(replace(task, simulator=simulator))
    try:
        action = environment.context.action
        assert action.names == (*(f"joint_{index}" for index in range(1, 8)), "gripper")
        assert action.scale == (controller.limit,) * 7 + (1.0,)
        before = environment.vectors()["observation.state.robot0_joint_pos"]
        for _ in range(10):
            environment.act(np.array([1, 0, 0, 0, 0, 0, 0, -1]))
        turned = environment.vectors()["observation.state.robot0_joint_pos"] - before
        assert turned[0] > moved
        assert np.abs(turned[1:]).max() < 0.02
    finally:
        environment.close()


def test_two_arms_have_names_of_their_own() -> None:
    environment = RobosuiteEnvironment(load_task("sim:two_arm_lift"))
    try:
        action = environment.context.action
        assert (action.names or ())[::7] == ("robot0_x", "robot1_x")
        assert action.gripper == (6, 13)
    finally:
        environment.close()


@pytest.mark.parametrize("option", ["hard_reset", "robots", "ignore_done"])
def test_what_is_decided_elsewhere_is_no_option(lift_task: SimTask, option: str) -> None:
    simulator = replace(lift_task.simulator, options={option: True})
    with pytest.raises(SimulationError, match=rf"options\] cannot hold {option}"):
        RobosuiteEnvironment(replace(lift_task, simulator=simulator))


def test_a_seed_gives_its_own_episode_after_another_model_was_loaded(
    lift_environment: RobosuiteEnvironment,
) -> None:
    expected = run(lift_environment, seed=5)
    model_file = lift_environment.context.model_file
    assert model_file is not None
    heavier = model_file.replace('damping="0.1', 'damping="0.2', 1)
    assert heavier != model_file
    lift_environment.load_model(heavier)
    found = run(lift_environment, seed=5)
    assert lift_environment.has_own_model
    assert all(np.array_equal(*pair) for pair in zip(expected, found, strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_robosuite_does_not_take(
    lift_environment: RobosuiteEnvironment, seed: int
) -> None:
    with pytest.raises(SimulationError, match="seeds from 0"):
        lift_environment.reset(seed)


@pytest.mark.parametrize("stock", [False, True])
def test_an_unstable_simulation_ends_the_episode_as_failed(
    lift_environment: RobosuiteEnvironment,
    stock: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)  # where MuJoCo would leave its log
    environment = lift_environment
    environment.reset(3)
    if stock:
        monkeypatch.setattr(environment, "_stepping", StockStepping(environment._env))
    environment.act(np.zeros(7))
    before = environment.observe()
    assert not before.failed
    environment._env.sim.data.qvel[:] = 1e9
    environment.act(np.zeros(7))
    after = environment.observe()
    assert (after.failed, after.success, after.reward) == (True, False, 0.0)
    for name, value in after.values.items():
        assert np.isfinite(value).all()
        if name != "simulator_state":  # in which the speed is that of this test
            assert np.array_equal(value, before.values[name])
    with pytest.raises(ValueError, match="unstable"):
        environment.act(np.zeros(7))
    environment.load_state(before.values["simulator_state"])
    environment.act(np.zeros(7))
    assert not environment.observe().failed
    environment.reset(3)
    environment.act(np.zeros(7))
    assert not environment.observe().failed
    assert not list(tmp_path.iterdir())
