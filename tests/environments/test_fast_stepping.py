from __future__ import annotations

import copy
import logging
from typing import Any

import numpy as np
import pytest

from robolearn.environments.borrowed import numpy_seeded
from robolearn.environments.fast_stepping import (
    FastStepping,
    NotCovered,
    StockStepping,
    stepping_of,
)
from robolearn.environments.robosuite_import import import_robosuite

JOINTS = {"input_max": 1, "input_min": -1, "interpolation": None, "ramp_ratio": 0.2}
CONTROLLERS: dict[str, dict[str, Any]] = {
    "OSC_POSE": {},
    "JOINT_POSITION": JOINTS
    | {"output_max": 0.05, "output_min": -0.05, "kp": 50, "damping_ratio": 1}
    | {"impedance_mode": "fixed", "kp_limits": [0, 300], "damping_ratio_limits": [0, 10]},
    "JOINT_VELOCITY": JOINTS
    | {"output_max": 0.5, "output_min": -0.5, "kp": 3.0, "velocity_limits": [-0.4, 0.4]},
}


def make(task: str = "Lift", robot: str = "Panda", kind: str = "OSC_POSE", **options: Any) -> Any:
    """A robosuite environment, small enough to be made for one test."""
    robosuite = import_robosuite()
    from robosuite.controllers import load_composite_controller_config

    controller = load_composite_controller_config(controller="BASIC", robot=robot)
    arm = controller["body_parts"]["right"]
    if kind != "OSC_POSE":
        arm = CONTROLLERS[kind] | {"type": kind, "gripper": arm["gripper"]}
    controller["body_parts"] = {"right": arm | options.pop("arm", {})}
    arms = 2 if task.startswith("TwoArm") else 1
    with numpy_seeded(0):
        return robosuite.make(
            env_name=task,
            robots=[robot] * arms,
            controller_configs=[controller] * arms,
            has_renderer=False,
            has_offscreen_renderer=False,
            use_camera_obs=False,
            hard_reset=False,
            ignore_done=True,
            **{"control_freq": 20} | options,
        )


def reset(env: Any, seed: int = 5) -> Any:
    with numpy_seeded(seed):
        env.reset()
    return stepping_of(env)


def trajectory(env: Any, stepping: Any, actions: Any) -> tuple[Any, ...]:
    states, rewards, observations = [], [], []
    for action in actions:
        rewards.append(stepping.step(action))
        states.append(env.sim.get_state().flatten())
        observed = env._get_observations(force_update=True)
        observations.append(np.concatenate([np.ravel(value) for value in observed.values()]))
    return np.array(states), np.array(rewards), np.array(observations)


@pytest.mark.parametrize(
    ("task", "robot", "kind"),
    [
        ("Lift", "Panda", "OSC_POSE"),
        ("Lift", "Panda", "JOINT_POSITION"),
        ("Lift", "Panda", "JOINT_VELOCITY"),
        ("Lift", "UR5e", "OSC_POSE"),
        ("TwoArmLift", "Panda", "OSC_POSE"),
    ],
)
def test_a_trajectory_is_robosuites(task: str, robot: str, kind: str) -> None:
    env = make(task, robot, kind)
    actions = np.random.default_rng(1).uniform(-1, 1, (7, env.action_dim))
    fast = reset(env)
    assert isinstance(fast, FastStepping)
    states, rewards, observations = trajectory(env, fast, actions)
    times = (env.timestep, env.cur_time)
    reset(env)
    stock_states, stock_rewards, stock_observations = trajectory(env, StockStepping(env), actions)
    assert times == (env.timestep, env.cur_time)
    # It stays that small until something touches something: then a last bit decides a good deal.
    np.testing.assert_allclose(states, stock_states, rtol=0, atol=1e-9)
    np.testing.assert_allclose(observations, stock_observations, rtol=0, atol=1e-9)
    np.testing.assert_allclose(rewards, stock_rewards, rtol=0, atol=1e-9)
    assert np.abs(states[-1] - states[0]).max() > 1e-3  # the arm moved


@pytest.mark.parametrize("kind", CONTROLLERS)
def test_the_same_state_gives_the_same_torques(kind: str) -> None:
    env = make(kind=kind)
    random = np.random.default_rng(2)
    reset(env)
    start = env.sim.get_state()
    compared = 0
    for _ in range(20):
        state = copy.deepcopy(start)
        state.qpos[:7] += random.uniform(-0.4, 0.4, 7)
        state.qvel[:7] = random.uniform(-0.5, 0.5, 7)
        action = random.uniform(-1, 1, env.action_dim)

        stepping = reset(env)
        env.sim.set_state(state)
        stepping._substeps = 1
        stepping.step(action)
        found = env.sim.data.ctrl.copy()

        reset(env)
        env.sim.set_state(state)
        env.sim.step1()
        env._pre_action(action, policy_step=True)
        np.testing.assert_allclose(found, env.sim.data.ctrl, rtol=0, atol=1e-10)
        low, high = env.sim.model.actuator_ctrlrange[:7].T
        compared += int(((found[:7] > low) & (found[:7] < high)).sum())
    assert compared > 20  # and not only torques at their limits


@pytest.mark.parametrize("task", ["PickPlaceCan", "TwoArmLift"])
def test_a_step_without_sensors_ends_where_mujocos_does(task: str) -> None:
    import mujoco  # which looks for a screen: not before GL is chosen

    from robolearn.environments.control_step import _step1, _step2

    env = make(task)
    model, data = env.sim.model._model, env.sim.data._data
    found = []
    for sensed in (False, True):
        stepping = reset(env)
        data.sensordata[:] = 0
        for substep in range(25):
            _step1(stepping._simulation, sensed or substep == 24)
            _step2(stepping._simulation, sensed or substep == 24)
        found.append(
            [data.qpos.copy(), data.qvel.copy(), data.qacc_warmstart.copy(), data.sensordata.copy()]
        )
    reset(env)
    data.sensordata[:] = 0
    mujoco.mj_step(model, data, 25)
    assert np.abs(data.sensordata).max() > 0
    for quick, whole, theirs in zip(
        *found, [data.qpos, data.qvel, data.qacc_warmstart, data.sensordata], strict=True
    ):
        np.testing.assert_array_equal(quick, theirs)  # to the last bit
        np.testing.assert_array_equal(whole, theirs)


def test_force_sensors_say_what_robosuites_say() -> None:
    env = make("Door")
    actions = np.random.default_rng(3).uniform(-1, 1, (4, env.action_dim))
    found = []
    for fast in (True, False):
        stepping = reset(env)
        stepping = stepping if fast else StockStepping(env)
        for action in actions:
            stepping.step(action)
        robot = env.robots[0]
        found.append([robot.ee_force["right"], robot.ee_torque["right"]])
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-8)
    assert np.abs(found[0]).max() > 1


@pytest.mark.parametrize("task", ["Lift", "TwoArmLift"])
def test_the_inertia_of_the_arms_is_mujocos(task: str) -> None:
    import mujoco  # which looks for a screen: not before GL is chosen

    from robolearn.environments.control_step import _mass

    env = make(task)
    stepping = reset(env)
    model, data = env.sim.model._model, env.sim.data._data
    full = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, full, data.qM)
    for inertia, joints in zip(stepping._fixed.inertia, stepping._fixed.qvel, strict=True):
        mass = np.empty((7, 7))
        _mass(stepping._simulation, inertia, mass)
        np.testing.assert_array_equal(mass, full[np.ix_(joints, joints)])


def test_a_clock_of_the_users_is_left_alone() -> None:
    import mujoco

    env = make()
    times = iter(range(10**9))
    mujoco.set_mjcb_time(lambda: float(next(times)))
    try:
        before = mujoco.get_mjcb_time()
        stepping = reset(env)
        stepping.step(np.zeros(7))
        assert mujoco.get_mjcb_time() is before
        assert next(times) > 0
    finally:
        mujoco.set_mjcb_time(None)


def test_another_integrator_is_left_to_robosuite() -> None:
    import mujoco

    env = make()
    env.sim.model.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    with pytest.raises(NotCovered, match="not integrated by Euler's method"):
        FastStepping(env)


def test_a_singular_matrix_is_inverted_as_robosuite_does_it() -> None:
    from robolearn.environments.control_step import _solve

    matrix = np.diag([4.0, 1.0, 0.0])
    found = np.array([2.0, 3.0, 5.0])
    _solve(matrix, found, np.zeros((3, 3)))
    np.testing.assert_allclose(found, np.linalg.pinv(matrix) @ [2.0, 3.0, 5.0], atol=1e-15)


def test_the_rate_decides_how_many_physics_steps_there_are() -> None:
    env = make(control_freq=50)
    stepping = reset(env)
    stepping.step(np.zeros(7))
    assert env.sim.data.time == pytest.approx(1 / 50)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"arm": {"impedance_mode": "variable_kp"}}, "impedance_mode = 'variable_kp'"),
        ({"arm": {"input_ref_frame": "world"}}, "input_ref_frame = 'world'"),
        ({"arm": {"interpolation": "linear"}}, "interpolator_pos"),
        ({"lite_physics": False}, "lite_physics is off"),
    ],
)
def test_what_is_not_compiled_is_stepped_by_robosuite(
    options: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    env = make(**options)
    with caplog.at_level(logging.WARNING):
        stepping = reset(env)
        reset(env)
    assert isinstance(stepping, StockStepping)
    [said] = [record.getMessage() for record in caplog.records if reason in record.getMessage()]
    assert said.startswith("Lift is stepped by robosuite's own, slower code: ")
    with pytest.raises(NotCovered, match=reason):
        FastStepping(env)
    assert stepping.step(np.zeros(env.action_dim)) == 0


def test_a_task_that_looks_within_a_step_is_robosuites() -> None:
    env = make("Wipe")
    with pytest.raises(NotCovered, match="Wipe looks at what is measured within a step"):
        FastStepping(env)
