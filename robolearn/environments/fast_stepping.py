"""robosuite's tasks stepped by compiled code, with robosuite's own models, rewards and sensors."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from robolearn.environments.control_step import (
    JOINT_POSITION,
    JOINT_VELOCITY,
    OSC_POSE,
    Arms,
    Simulation,
    VelocityMemory,
    control_step,
)
from robolearn.episodes.frames import Array


class NotCovered(Exception):
    """robosuite's own stepping has to be used; the message says why."""


class Stepping(Protocol):
    """What does one control step of a robosuite environment."""

    def step(self, action: Array) -> float:
        """One control step.

        Args:
            action: (A,) float64, within its limits.

        Returns:
            The reward.
        """


def stepping_of(env: Any) -> Stepping:
    """The fastest way to step a robosuite environment. Asked for anew after each reset.

    Where it is robosuite's own, that is said once for each kind of environment.

    Args:
        env: a robosuite environment that was just reset.
    """
    # robosuite's controllers would compute the first torques after a reset from the inertia that
    # the arm had before its gripper was put in place: then a stored state would not be enough to
    # repeat the step that follows it.
    for robot in env.robots:
        for controller in robot.composite_controller.part_controllers.values():
            controller.new_update = True
    try:
        return FastStepping(env)
    except NotCovered as reason:
        _say_once(f"{type(env).__name__} is stepped by robosuite's own, slower code: {reason}")
        return StockStepping(env)


@functools.cache
def _say_once(message: str) -> None:
    logging.getLogger(__name__).warning(message)


class StockStepping:
    """Steps a robosuite environment with its own ``step``.

    Args:
        env: to step.
    """

    def __init__(self, env: Any) -> None:
        self._env = env

    def step(self, action: Array) -> float:
        reward: float = self._env.step(action)[1]
        return reward


class FastStepping:
    """Steps a robosuite environment as its own ``step`` does, but for the last bits.

    It is good until the next reset, when robosuite makes new controllers.

    Args:
        env: a robosuite environment.

    Raises:
        NotCovered: the task, a robot or a controller does what is not compiled.
    """

    def __init__(self, env: Any) -> None:
        self._env = env
        _require_covered(env)
        sim = env.sim
        data = sim.data._data
        _stop_bookkeeping(sim.model._model)
        self._simulation = Simulation(
            model=sim.model._model._address,
            data=data._address,
            qpos=data.qpos,
            qvel=data.qvel,
            q_m=data.qM,
            bias=data.qfrc_bias,
            site_xpos=data.site_xpos,
            site_xmat=data.site_xmat,
            ctrl=data.ctrl,
        )
        self._substeps = int(env.control_timestep / env.model_timestep)
        parts = list(_parts(env))
        self._arms = [part for part in parts if not part.gripper]
        self._grippers = [_Gripper(part) for part in parts if part.gripper]
        kinds = {_KINDS[type(part.controller).__name__] for part in self._arms}
        if len(kinds) != 1:
            raise NotCovered("its arms are driven by different controllers")
        self._kind = kinds.pop()
        self._fixed = _fixed(self._arms, self._kind)
        count, joints = self._fixed.qvel.shape
        self._memory = VelocityMemory.empty(count, joints)
        self._moves = np.zeros((count, 3 if self._kind == OSC_POSE else joints))
        self._turns = np.zeros((count, 3, 3))

    def step(self, action: Array) -> float:
        env = self._env
        if env.done:
            raise ValueError("executing action in terminated episode")
        env.timestep += 1
        for place, part in enumerate(self._arms):
            wanted = part.controller.scale_action(action[part.first : part.stop])
            if self._kind == OSC_POSE:
                self._moves[place] = wanted[:3]
                self._turns[place] = _rotation(wanted[3:])
            else:
                if self._kind == JOINT_VELOCITY and part.controller.velocity_limits is not None:
                    wanted = np.clip(wanted, *part.controller.velocity_limits)
                self._moves[place] = wanted
        for gripper in self._grippers:
            gripper.drive(action, self._simulation.ctrl)
        control_step(
            self._simulation,
            self._fixed,
            self._memory,
            self._kind,
            self._moves,
            self._turns,
            self._substeps,
        )
        env.cur_time += env.control_timestep
        reward: float = env._post_action(action)[0]
        return reward


def _stop_bookkeeping(model: Any) -> None:
    """Leave out what MuJoCo does in each physics step for those who look at its inside.

    It clears and sets marks of bounding volumes that a picture can show, a byte for each triangle
    of the visual meshes: 0.4 MB. And it takes the time of its stages thirty times with a clock that
    its Python package sets whenever simulated data is made. No state depends on either.
    """
    import mujoco

    model.vis.global_.bvactive = 0
    if mujoco.get_mjcb_time() is None:  # and not a clock of the user's
        mujoco.set_mjcb_time(None)


@dataclass(frozen=True)
class _Part:
    """One part of a robot that a slice of the action drives."""

    controller: Any
    actuators: Array
    first: int
    stop: int
    gripper: Any


class _Gripper:
    """How the action of a gripper becomes what its actuators are driven by, once a control step."""

    def __init__(self, part: _Part) -> None:
        self._part = part
        controller = part.controller
        low, high = np.asarray(controller.actuator_min), np.asarray(controller.actuator_max)
        self._bias, self._weight = 0.5 * (high + low), 0.5 * (high - low)
        ctrlrange = controller.sim.model.actuator_ctrlrange[part.actuators]
        self._low, self._high = ctrlrange[:, 0], ctrlrange[:, 1]

    def drive(self, action: Array, ctrl: Array) -> None:
        part, controller = self._part, self._part.controller
        wanted = part.gripper.format_action(action[part.first : part.stop])
        if controller.use_action_scaling:
            wanted = self._bias + self._weight * controller.scale_action(wanted)
        ctrl[part.actuators] = np.minimum(np.maximum(wanted, self._low), self._high)


_KINDS = {
    "OperationalSpaceController": OSC_POSE,
    "JointPositionController": JOINT_POSITION,
    "JointVelocityController": JOINT_VELOCITY,
}


_IMPEDANCE: dict[str, Any] = {"impedance_mode": "fixed", "input_type": "delta"}
_PLAIN: dict[str, dict[str, Any]] = {
    "OperationalSpaceController": _IMPEDANCE
    | {
        "use_ori": True,
        "input_ref_frame": "base",
        "_goal_update_mode": "achieved",
        "position_limits": None,
        "orientation_limits": None,
        "interpolator_pos": None,
        "interpolator_ori": None,
    },
    "JointPositionController": _IMPEDANCE | {"position_limits": None, "interpolator": None},
    "JointVelocityController": {"interpolator": None},
}
"""Options of the controllers that are compiled, as they have to be."""


def _require_covered(env: Any) -> None:
    import mujoco
    from robosuite.environments.base import MujocoEnv
    from robosuite.environments.robot_env import RobotEnv

    kind = type(env)
    if kind.step is not MujocoEnv.step or kind._pre_action is not RobotEnv._pre_action:
        raise NotCovered(f"{kind.__name__} has a step of its own")
    if kind._post_action is not MujocoEnv._post_action:
        raise NotCovered(f"{kind.__name__} looks at what is measured within a step")
    if not env.lite_physics:
        raise NotCovered("it computes the physics twice a step (lite_physics is off)")
    if env.sim.model.opt.integrator != mujoco.mjtIntegrator.mjINT_EULER:
        raise NotCovered("its physics is not integrated by Euler's method")


def _parts(env: Any) -> Iterator[_Part]:
    """Arms and grippers in the order of the action."""
    from robosuite.controllers.composite.composite_controller import CompositeController
    from robosuite.controllers.parts.gripper.simple_grip import SimpleGripController
    from robosuite.robots.fixed_base_robot import FixedBaseRobot

    begin = 0
    for robot in env.robots:
        composite = robot.composite_controller
        if type(robot) is not FixedBaseRobot or type(composite) is not CompositeController:
            raise NotCovered(f"{robot.name} is no arm on a fixed base")
        for name, controller in composite.part_controllers.items():
            first, stop = composite._action_split_indexes[name]
            gripper = composite.grippers.get(name)
            if gripper is None:
                _require_plain(name, controller, robot)
            elif type(controller) is not SimpleGripController or controller.interpolator:
                raise NotCovered(f"the gripper {name} has a controller of its own")
            yield _Part(
                controller=controller,
                actuators=np.array(robot._ref_actuators_indexes_dict[name], np.int64),
                first=begin + first,
                stop=begin + stop,
                gripper=gripper,
            )
        begin += robot.action_dim


def _require_plain(name: str, controller: Any, robot: Any) -> None:
    """Raise unless an arm's controller does nothing but what is compiled."""
    kind = type(controller).__name__
    if name not in robot.arms or kind not in _KINDS:
        raise NotCovered(f"{name} is driven by {kind}")
    for option, plain in _PLAIN[kind].items():
        value = getattr(controller, option)
        if value is not plain and value != plain:
            raise NotCovered(f"the controller of {name} has {option.strip('_')} = {value!r:.40}")


def _fixed(arms: list[_Part], kind: int) -> Arms:
    def each(values: list[Any], dtype: type = np.float64) -> Array:
        return np.array(values, dtype)

    controllers = [part.controller for part in arms]
    if len({len(controller.qvel_index) for controller in controllers}) > 1:
        raise NotCovered("its arms have different numbers of joints")
    model = controllers[0].sim.model
    sites = [
        model.site_name2id(controller.ref_name) if kind == OSC_POSE else 0
        for controller in controllers
    ]
    bases = [
        model.site_name2id(f"{controller.naming_prefix}{controller.part_name}_center")
        for controller in controllers
    ]
    if kind == OSC_POSE and model.body_weldid[model.site_bodyid[bases]].any():
        raise NotCovered("an arm stands on something that moves")
    ctrlrange = [model.actuator_ctrlrange[part.actuators] for part in arms]
    return Arms(
        qpos=each([controller.qpos_index for controller in controllers], np.int64),
        qvel=each([controller.qvel_index for controller in controllers], np.int64),
        actuators=each([part.actuators for part in arms], np.int64),
        inertia=each([_inertia(model, part.controller.qvel_index) for part in arms], np.int64),
        site=each(sites, np.int32),
        base=each(bases, np.int32),
        kp=each([controller.kp for controller in controllers]),
        kd=each([controller.kd for controller in controllers]),
        ki=each([getattr(controller, "ki", controller.kd) for controller in controllers]),
        rest=each([controller.initial_joint for controller in controllers]),
        low=each([controller.actuator_min for controller in controllers]),
        high=each([controller.actuator_max for controller in controllers]),
        ctrl_low=each([limits[:, 0] for limits in ctrlrange]),
        ctrl_high=each([limits[:, 1] for limits in ctrlrange]),
        uncoupled=kind == OSC_POSE and all(controller.uncoupling for controller in controllers),
    )


def _inertia(model: Any, joints: Any) -> Array:
    """(J, J) where MuJoCo keeps the inertia between joints: with each, those that carry it."""
    places = np.full((len(joints), len(joints)), -1)
    order = {int(joint): index for index, joint in enumerate(joints)}
    for joint, row in order.items():
        place, carrier = int(model.dof_Madr[joint]), joint
        while carrier >= 0:
            if carrier in order:
                places[row, order[carrier]] = places[order[carrier], row] = place
            place, carrier = place + 1, int(model.dof_parentid[carrier])
    return places


def _rotation(vector: Array) -> Array:
    """(3, 3) of a rotation vector, as robosuite computes it: partly in single precision."""
    from robosuite.utils import transform_utils

    rotation: Array = transform_utils.quat2mat(transform_utils.axisangle2quat(vector))
    return rotation
