from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from robolearn.environments.observables import Observables
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import load_task


def stepped(name: str) -> RobosuiteEnvironment:
    environment = RobosuiteEnvironment(load_task(f"sim:{name}"))
    environment.reset(seed=3)
    size = environment.context.action.shape[0]
    for action in np.random.default_rng(4).uniform(-1, 1, (3, size)):
        environment.act(action)
    return environment


@pytest.mark.parametrize("name", ["can", "square", "stack", "door", "wipe", "two_arm_lift"])
def test_they_are_what_robosuite_observes_once_it_has_settled(name: str) -> None:
    environment = stepped(name)
    env: Any = environment._env
    asked = environment._task.observation
    found = environment._observables.read()
    assert list(found) == [*asked.state, *asked.objects]
    # Robosuite computes some of its observables from what others said when it was asked last.
    env._get_observations(force_update=True)
    theirs = env._get_observations(force_update=True)
    for observable, value in found.items():
        np.testing.assert_array_equal(value, theirs[observable], err_msg=observable)
        assert np.shape(value) == np.shape(theirs[observable])
    environment.close()


def test_they_follow_from_the_state_alone() -> None:
    environment = stepped("can")
    values = environment.vectors()
    environment.reset(seed=9)
    first = environment._observed
    apart = np.linalg.norm(first["Can_pos"] - first["robot0_eef_pos"])
    assert np.linalg.norm(first["Can_to_robot0_eef_pos"]) == pytest.approx(apart, rel=1e-6)
    environment.load_state(values["simulator_state"])
    once = environment.vectors()["observation.environment_state"]
    environment.load_state(values["simulator_state"])
    np.testing.assert_array_equal(environment.vectors()["observation.environment_state"], once)
    environment.close()


def test_nothing_else_is_computed() -> None:
    environment = stepped("can")
    env: Any = environment._env
    computed = []
    for name, observable in env._observables.items():
        sensor = observable._sensor

        def noted(cache: Any, name: str = name, sensor: Any = sensor) -> Any:
            computed.append(name)
            return sensor(cache)

        observable._sensor = noted
    read = Observables(env, ["Can_to_robot0_eef_quat", "robot0_joint_vel"])
    computed.clear()
    read.read()
    assert sorted(computed) == sorted(
        ["robot0_eef_pos", "robot0_eef_quat", "Can_pos", "Can_quat", "world_pose_in_gripper"]
        + ["Can_to_robot0_eef_pos", "Can_to_robot0_eef_quat", "robot0_joint_vel"]
    )
    environment.close()


def test_success_is_found_out_once_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    from robosuite.environments.manipulation.pick_place import PickPlace

    asked = []
    check = PickPlace._check_success

    def counted(self: Any) -> Any:
        asked.append(self)
        return check(self)

    monkeypatch.setattr(PickPlace, "_check_success", counted)
    environment = stepped("can")
    asked.clear()
    environment.act(np.zeros(7))
    assert environment.observe().success is False
    assert len(asked) == 1
    # It is of the state that is simulated, not of the one before.
    env: Any = environment._env
    state = environment.vectors()["simulator_state"].copy()
    address = 1 + env.sim.model.get_joint_qpos_addr(env.objects[3].joints[0])[0]
    state[address : address + 3] = [*env.target_bin_placements[3][:2], env.bin2_pos[2] + 0.05]
    environment.load_state(state)
    assert environment.success
    environment.reset(seed=1)
    assert not environment.success
    environment.close()
