from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.simulated_model import SimulatedModel
from robolearn.environments.task import JointController, SimTask, load_task
from robolearn.episodes.features import SIMULATOR_STATE
from robolearn.episodes.frames import Array, Observation


@pytest.fixture(scope="module")
def door() -> Iterator[RobosuiteEnvironment]:
    with closing(RobosuiteEnvironment(load_task("sim:door"))) as environment:
        yield environment


def driven(environment: RobosuiteEnvironment, actions: Array) -> list[Observation]:
    seen = [environment.observe()]
    for action in actions:
        environment.act(action)
        seen.append(environment.observe())
    return seen


def require_same(one: list[Observation], other: list[Observation]) -> None:
    for before, after in zip(one, other, strict=True):
        for name, values in before.values.items():
            np.testing.assert_array_equal(values, after.values[name], err_msg=name)
        assert (before.reward, before.success, before.time) == (
            after.reward,
            after.success,
            after.time,
        )


TASKS = ["lift", "can", "door", "two_arm_lift", "wipe", "lift with joint velocities"]


@pytest.mark.parametrize("name", TASKS)
def test_an_episode_begins_again_where_it_began(name: str) -> None:
    """In another environment that did something else before, to the last bit."""
    task = load_task(f"sim:{name.split(maxsplit=1)[0]}")
    if "velocities" in name:
        controller = JointController("JOINT_VELOCITY", 0.5)
        simulator = dataclasses.replace(task.simulator, controller=controller)
        task = dataclasses.replace(task, simulator=simulator)
    with closing(RobosuiteEnvironment(task)) as first:
        first.reset(seed=3)
        size = first.context.action.shape[0]
        actions = np.random.default_rng(0).uniform(-1, 1, (25, size)).astype(np.float32)
        model_file = first.context.model_file
        seen = driven(first, actions)
    assert model_file is not None
    with closing(RobosuiteEnvironment(task)) as second:
        second.reset(seed=8)
        driven(second, actions[:3])
        for _ in range(2):
            second.load_model(model_file)
            second.reset_to(seen[0].values[SIMULATOR_STATE])
            require_same(seen, driven(second, actions))
            assert second.context.model_file == model_file
            assert second.has_own_model
        second.reset(seed=3)
        require_same(seen, driven(second, actions))
        assert second.context.model_file == model_file


def test_each_episode_stores_where_its_door_stands(door: RobosuiteEnvironment) -> None:
    found = []
    for seed in (1, 2, 1):
        door.reset(seed)
        found.append((door.context.model_file, door.vectors()["observation.environment_state"]))
    (one, seen), (other, _), (again, _) = found
    assert one == again != other
    door.reset(seed=2)
    state = door.vectors()[SIMULATOR_STATE]
    assert one is not None
    door.load_model(one)
    door.load_state(state)
    place = door.context.features["observation.environment_state"].indices("door_pos")
    now = door.vectors()["observation.environment_state"]
    np.testing.assert_array_equal(now[place], seen[place])


def test_another_model_is_compiled_and_the_own_one_comes_back(door: RobosuiteEnvironment) -> None:
    door.reset(seed=1)
    own = door.context.model_file
    assert own is not None
    seen = driven(door, np.zeros((3, 7)))
    heavier = own.replace('damping="0.1', 'damping="0.2', 1)
    assert heavier != own
    door.load_model(heavier)
    assert not door.has_own_model
    door.load_model(own)
    assert door.has_own_model
    door.reset_to(seen[0].values[SIMULATOR_STATE])
    require_same(seen, driven(door, np.zeros((3, 7))))


@pytest.mark.parametrize("place", ["1 2", "1 2 nan", "1 2 x", "1 2 3 4"])
def test_a_place_that_is_none_is_not_taken_for_one(
    lift_environment: RobosuiteEnvironment, place: str
) -> None:
    model_file = lift_environment.context.model_file
    assert model_file is not None
    model = lift_environment._world.model
    own = SimulatedModel(model_file, model)
    before = '<body name="table" pos="0 0 0.775"'
    assert before in model_file
    assert own.poses_in(model_file.replace(before, '<body name="table" pos="0 0 1"')) is not None
    assert own.poses_in(model_file.replace(before, f'<body name="table" pos="{place}"')) is None


def test_what_mujoco_says_of_files_it_had_in_its_cache_makes_no_difference(
    lift_environment: RobosuiteEnvironment,
) -> None:
    """A model has the same text in every process, whatever was compiled there before."""
    model_file = lift_environment.context.model_file
    assert model_file is not None
    assert "content_type" not in model_file
    mentioned = model_file.replace("<mesh ", '<mesh content_type="model/obj" ')
    own = SimulatedModel(mentioned, lift_environment._world.model)
    assert own.xml == model_file
    assert own.poses_in(mentioned) is not None


def test_what_the_elements_of_a_state_are(
    lift_environment: RobosuiteEnvironment, lift_task: SimTask
) -> None:
    lift_environment.reset(seed=0)
    names = lift_environment.state_names
    assert (len(names),) == lift_environment.context.features[SIMULATOR_STATE].shape
    lift_environment.act(np.zeros(7))
    values = lift_environment.vectors()
    state = dict(zip(names, values[SIMULATOR_STATE], strict=True))
    assert state["time"] == pytest.approx(1 / lift_task.simulator.rate)
    joints = [state[f"position of robot0_joint{joint}"] for joint in range(1, 8)]
    np.testing.assert_allclose(joints, values["observation.state.robot0_joint_pos"], atol=1e-6)
    cube = [state[f"position {axis} of cube_joint0"] for axis in range(3)]
    np.testing.assert_allclose(cube, values["observation.environment_state"][:3], atol=1e-3)
    assert "velocity 5 of cube_joint0" in state
