"""One control step of a robosuite arm as one call of compiled code.

robosuite computes the torques of each physics step in Python, which takes seven times as long as
the physics. Here the same loop (position and velocity stage of the physics, controller,
acceleration stage) is compiled, with robosuite's equations in its order. MuJoCo is called as a C
library.

Sources: O. Khatib, "A unified approach for motion and force control of robot manipulators: The
operational space formulation", 1987; robosuite 1.5.1, ``controllers/parts``.
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite.binding
import numba
import numpy as np
from numba.core import types

from robolearn.episodes.frames import Array
from robolearn.errors import MissingDependency

OSC_POSE, JOINT_POSITION, JOINT_VELOCITY = range(3)

_REST_GAIN = 10.0
"""robosuite's ``joint_kp`` of the motion that the hand does not feel."""

_SINGULAR = 1e-12
"""Of a pivot to the largest diagonal element: below, a matrix is inverted as robosuite does it."""


def _mujoco_library() -> Path:
    """MuJoCo's C library, which is found without importing the package: that looks for a screen."""
    package = importlib.util.find_spec("mujoco")
    places = [] if package is None else package.submodule_search_locations or []
    for place in places:
        for library in sorted(Path(place).glob("libmujoco*")):
            return library
    raise MissingDependency("simulated tasks need MuJoCo: pip install 'robolearn[sim]'")


llvmlite.binding.load_library_permanently(str(_mujoco_library()))


def _of_mujoco(name: str, *arguments: Any) -> Any:
    return types.ExternalFunction(name, types.void(*arguments))


_pointer = types.intp
_mj_step1 = _of_mujoco("mj_step1", _pointer, _pointer)
_mj_step2 = _of_mujoco("mj_step2", _pointer, _pointer)
_mj_check_pos = _of_mujoco("mj_checkPos", _pointer, _pointer)
_mj_check_vel = _of_mujoco("mj_checkVel", _pointer, _pointer)
_mj_check_acc = _of_mujoco("mj_checkAcc", _pointer, _pointer)
_mj_fwd_position = _of_mujoco("mj_fwdPosition", _pointer, _pointer)
_mj_fwd_velocity = _of_mujoco("mj_fwdVelocity", _pointer, _pointer)
_mj_fwd_actuation = _of_mujoco("mj_fwdActuation", _pointer, _pointer)
_mj_fwd_acceleration = _of_mujoco("mj_fwdAcceleration", _pointer, _pointer)
_mj_fwd_constraint = _of_mujoco("mj_fwdConstraint", _pointer, _pointer)
_mj_euler = _of_mujoco("mj_Euler", _pointer, _pointer)
_mj_jac_site = _of_mujoco("mj_jacSite", _pointer, _pointer, _pointer, _pointer, types.int32)


class Simulation(NamedTuple):
    """MuJoCo's model and data by their addresses, and arrays that are views of the data.

    Attributes:
        model: address of the mjModel.
        data: address of the mjData.
        qpos: (nq,) positions.
        qvel: (nv,) velocities.
        q_m: (nM,) inertia, as MuJoCo stores it.
        bias: (nv,) Coriolis, centrifugal and gravity forces.
        site_xpos: (nsite, 3) m.
        site_xmat: (nsite, 9).
        ctrl: (nu,) what actuators are driven by.
    """

    model: int
    data: int
    qpos: Array
    qvel: Array
    q_m: Array
    bias: Array
    site_xpos: Array
    site_xmat: Array
    ctrl: Array


class Arms(NamedTuple):
    """What is fixed from one reset to the next, for each of R arms of J joints.

    Attributes:
        qpos: (R, J) places of the joints' positions.
        qvel: (R, J) places of their velocities.
        actuators: (R, J) places of their actuators.
        inertia: (R, J, J) places of the joints' inertia in the model's; -1 where there is none.
        site: (R,) int32 of the hand.
        base: (R,) int32 site in whose frame the hand is moved. It does not move itself.
        kp: (R, D) stiffness; D is 6 for the hand's pose, J for joints.
        kd: (R, D) damping.
        ki: (R, D) integral gain of joint velocities.
        rest: (R, J) rad the joints' pose that the arm keeps to where the hand does not mind.
        low: (R, J) least control of the controller itself, then of the actuators.
        high: (R, J) greatest.
        ctrl_low: (R, J) least control of the actuators.
        ctrl_high: (R, J) greatest.
        uncoupled: the hand's position and its orientation are controlled apart.
    """

    qpos: Array
    qvel: Array
    actuators: Array
    inertia: Array
    site: Array
    base: Array
    kp: Array
    kd: Array
    ki: Array
    rest: Array
    low: Array
    high: Array
    ctrl_low: Array
    ctrl_high: Array
    uncoupled: bool


class VelocityMemory(NamedTuple):
    """What a controller of joint velocities remembers from one physics step to the next.

    Attributes:
        error: (R, J) the last one.
        changes: (R, 5, J) of the error, a ring.
        pushed: (R,) changes so far.
        summed: (R, J) errors while no torque was at its limit.
        saturated: (R,) a torque was at its limit.
    """

    error: Array
    changes: Array
    pushed: Array
    summed: Array
    saturated: Array

    @classmethod
    def empty(cls, arms: int, joints: int) -> VelocityMemory:
        """As after a reset."""
        return cls(
            np.zeros((arms, joints)),
            np.zeros((arms, 5, joints)),
            np.zeros(arms, np.int64),
            np.zeros((arms, joints)),
            np.zeros(arms, np.bool_),
        )


class Work(NamedTuple):
    """What is computed of one arm, in memory that is used again in the next physics step.

    Attributes:
        jacobian: (6, nv) of the hand's motion by joint velocities.
        mass: (J, J) inertia of the arm's joints.
        root: (J, J) its Cholesky factor.
        across: (6, J) J L⁻ᵀ of the arm's Jacobian J and that factor L.
        compliance: (6, 6) J M⁻¹ Jᵀ.
        factor: (6, 6) its Cholesky factor, or of one of its blocks.
        wanted: (3, 3) the hand's rotation at its goal.
        error: (6,) the hand's way to its goal.
        force: (6,) what pulls it there, per inertia.
        wrench: (6,) the same as a force.
        home: (J,) acceleration towards the pose that the arm rests in.
        felt: (6,) how that would move the hand.
        torques: (J,) what comes out.
    """

    jacobian: Array
    mass: Array
    root: Array
    across: Array
    compliance: Array
    factor: Array
    wanted: Array
    error: Array
    force: Array
    wrench: Array
    home: Array
    felt: Array
    torques: Array


def _compiled(function: Any) -> Any:
    return numba.njit(cache=True, nogil=True, error_model="numpy")(function)


@_compiled
def _cholesky(matrix: Array, lower: Array) -> bool:
    """A = L Lᵀ; False where A is singular to working precision."""
    size = matrix.shape[0]
    largest = 0.0
    for i in range(size):
        largest = max(largest, matrix[i, i])
    for j in range(size):
        pivot = matrix[j, j]
        for k in range(j):
            pivot -= lower[j, k] * lower[j, k]
        if not pivot > _SINGULAR * largest:
            return False
        root = math.sqrt(pivot)
        lower[j, j] = root
        for i in range(j + 1, size):
            value = matrix[i, j]
            for k in range(j):
                value -= lower[i, k] * lower[j, k]
            lower[i, j] = value / root
    return True


@_compiled
def _forward(lower: Array, values: Array) -> None:
    """x ← L⁻¹ x."""
    for i in range(values.shape[0]):
        value = values[i]
        for k in range(i):
            value -= lower[i, k] * values[k]
        values[i] = value / lower[i, i]


@_compiled
def _backward(lower: Array, values: Array) -> None:
    """x ← L⁻ᵀ x."""
    size = values.shape[0]
    for i in range(size - 1, -1, -1):
        value = values[i]
        for k in range(i + 1, size):
            value -= lower[k, i] * values[k]
        values[i] = value / lower[i, i]


@_compiled
def _solve(matrix: Array, values: Array, lower: Array) -> None:
    """x ← A⁺ x for a symmetric A ≥ 0. What is in ``lower`` is overwritten."""
    if not _cholesky(matrix, lower):
        values[:] = np.linalg.pinv(np.ascontiguousarray(matrix)) @ values
        return
    _forward(lower, values)
    _backward(lower, values)


@_compiled
def _mass(simulation: Simulation, places: Array, mass: Array) -> None:
    """(J, J) inertia of an arm's joints, the rest of the world at rest."""
    size = len(places)
    for i in range(size):
        for j in range(size):
            mass[i, j] = simulation.q_m[places[i, j]] if places[i, j] >= 0 else 0.0


@_compiled
def _pose_goal(
    simulation: Simulation, arms: Arms, arm: int, move: Array, turn: Array, goal: Array
) -> None:
    """Where the hand shall be in its base's frame: (4, 3) position, then rotation matrix."""
    origin = simulation.site_xpos[arms.base[arm]]
    frame = simulation.site_xmat[arms.base[arm]].reshape(3, 3)
    hand = simulation.site_xpos[arms.site[arm]]
    pose = simulation.site_xmat[arms.site[arm]].reshape(3, 3)
    now = np.zeros((3, 3))
    for i in range(3):
        place = 0.0
        for k in range(3):
            place += frame[k, i] * (hand[k] - origin[k])
            for j in range(3):
                now[i, j] += frame[k, i] * pose[k, j]
        goal[0, i] = place + move[i]
    for i in range(3):
        for j in range(3):
            value = 0.0
            for k in range(3):
                value += turn[i, k] * now[k, j]
            goal[1 + i, j] = value


@_compiled
def _pose_torques(simulation: Simulation, arms: Arms, arm: int, goal: Array, work: Work) -> None:
    """(J,) torques that bring the hand to its goal: operational space control.

    Γ = Jᵀ Λ (kp e − kd v) + bias + Nᵀ M (k (q₀ − q) − 2 √k q̇), with Λ = (J M⁻¹ Jᵀ)⁻¹ and
    Nᵀ = 1 − Jᵀ Λ J M⁻¹ (Khatib 1987).
    """
    joints = arms.qvel.shape[1]
    places = arms.qvel[arm]
    origin = simulation.site_xpos[arms.base[arm]]
    frame = simulation.site_xmat[arms.base[arm]].reshape(3, 3)
    hand = simulation.site_xpos[arms.site[arm]]
    pose = simulation.site_xmat[arms.site[arm]].reshape(3, 3)
    jacobian, mass, across, compliance = work.jacobian, work.mass, work.across, work.compliance
    _mj_jac_site(
        simulation.model,
        simulation.data,
        jacobian.ctypes.data,
        jacobian[3:].ctypes.data,
        arms.site[arm],
    )
    error, wanted = work.error, work.wanted
    error[:] = 0
    wanted[:] = 0
    for i in range(3):
        place = origin[i]
        for k in range(3):
            place += frame[i, k] * goal[0, k]
            for j in range(3):
                wanted[i, j] += frame[i, k] * goal[1 + k, j]
        error[i] = place - hand[i]
    # Half the sum of the cross products of the axes of both frames: the small rotation between.
    for axis in range(3):
        for i in range(3):
            j, k = (i + 1) % 3, (i + 2) % 3
            error[3 + i] += 0.5 * (
                pose[j, axis] * wanted[k, axis] - pose[k, axis] * wanted[j, axis]
            )
    force = work.force
    for i in range(6):
        velocity = 0.0
        for k in range(joints):
            velocity += jacobian[i, places[k]] * simulation.qvel[places[k]]
        force[i] = arms.kp[arm, i] * error[i] - arms.kd[arm, i] * velocity

    _mass(simulation, arms.inertia[arm], mass)
    _cholesky(mass, work.root)
    for i in range(6):
        for j in range(joints):
            across[i, j] = jacobian[i, places[j]]
        _forward(work.root, across[i])  # L⁻¹ Jᵀ, a row each
    for i in range(6):
        for j in range(i + 1):
            value = 0.0
            for k in range(joints):
                value += across[i, k] * across[j, k]
            compliance[i, j] = compliance[j, i] = value

    wrench = work.wrench
    wrench[:] = force
    if arms.uncoupled:
        _solve(compliance[:3, :3], wrench[:3], work.factor[:3, :3])
        _solve(compliance[3:, 3:], wrench[3:], work.factor[3:, 3:])
    else:
        _solve(compliance, wrench, work.factor)

    damping = 2 * math.sqrt(_REST_GAIN)
    home, felt = work.home, work.felt
    for i in range(joints):
        away = arms.rest[arm, i] - simulation.qpos[arms.qpos[arm, i]]
        home[i] = _REST_GAIN * away - damping * simulation.qvel[places[i]]
    for i in range(6):
        felt[i] = 0
        for j in range(joints):
            felt[i] += jacobian[i, places[j]] * home[j]
    _solve(compliance, felt, work.factor)
    wrench -= felt
    for i in range(joints):
        torque = simulation.bias[places[i]]
        for k in range(6):
            torque += jacobian[k, places[i]] * wrench[k]
        for k in range(joints):
            torque += mass[i, k] * home[k]
        work.torques[i] = torque


@_compiled
def _position_torques(
    simulation: Simulation, arms: Arms, arm: int, goal: Array, work: Work
) -> None:
    """(J,) torques that bring the joints to their goal: M (kp e − kd q̇) + bias."""
    places = arms.qvel[arm]
    joints = len(places)
    _mass(simulation, arms.inertia[arm], work.mass)
    wanted, torques = work.home, work.torques
    for i in range(joints):
        error = goal[i] - simulation.qpos[arms.qpos[arm, i]]
        wanted[i] = arms.kp[arm, i] * error - arms.kd[arm, i] * simulation.qvel[places[i]]
    for i in range(joints):
        torques[i] = simulation.bias[places[i]]
        for k in range(joints):
            torques[i] += work.mass[i, k] * wanted[k]


@_compiled
def _velocity_torques(
    simulation: Simulation,
    arms: Arms,
    arm: int,
    goal: Array,
    memory: VelocityMemory,
    torques: Array,
) -> None:
    """(J,) torques that bring the joints to a velocity: PID and bias, without wind-up."""
    places = arms.qvel[arm]
    joints = len(places)
    ring = memory.changes.shape[1]
    slot = memory.pushed[arm] % ring
    memory.pushed[arm] += 1
    filled = min(memory.pushed[arm], ring)
    saturated = False
    for i in range(joints):
        error = goal[i] - simulation.qvel[places[i]]
        memory.changes[arm, slot, i] = error - memory.error[arm, i]
        memory.error[arm, i] = error
        if not memory.saturated[arm]:
            memory.summed[arm, i] += error
        change = 0.0
        for k in range(filled):
            change += memory.changes[arm, k, i]
        torque = (
            arms.kp[arm, i] * error
            + arms.ki[arm, i] * memory.summed[arm, i]
            + arms.kd[arm, i] * (change / filled)
            + simulation.bias[places[i]]
        )
        torques[i] = min(max(torque, arms.low[arm, i]), arms.high[arm, i])
        saturated = saturated or torques[i] != torque
    memory.saturated[arm] = saturated


@_compiled
def _step1(simulation: Simulation, sensed: bool) -> None:
    """``mj_step1``, without its sensors where nobody reads them."""
    model, data = simulation.model, simulation.data
    if sensed:
        _mj_step1(model, data)
    else:
        _mj_check_pos(model, data)
        _mj_check_vel(model, data)
        _mj_fwd_position(model, data)
        _mj_fwd_velocity(model, data)


@_compiled
def _step2(simulation: Simulation, sensed: bool) -> None:
    """``mj_step2`` of Euler's method, without its sensors where nobody reads them."""
    model, data = simulation.model, simulation.data
    if sensed:
        _mj_step2(model, data)
    else:
        _mj_fwd_actuation(model, data)
        _mj_fwd_acceleration(model, data)
        _mj_fwd_constraint(model, data)
        _mj_check_acc(model, data)
        _mj_euler(model, data)


@_compiled
def control_step(
    simulation: Simulation,
    arms: Arms,
    memory: VelocityMemory,
    kind: int,
    moves: Array,
    turns: Array,
    substeps: int,
) -> None:
    """Step the physics ``substeps`` times, the arms driven to where an action wants them.

    MuJoCo's sensors are computed in the last of them only: each step overwrites what they said
    before, and nothing in the physics reads it.

    Args:
        simulation: what is stepped. Its ``ctrl`` already holds what the grippers are driven by.
        arms: that are driven.
        memory: of controllers of joint velocities.
        kind: of the controllers: ``OSC_POSE``, ``JOINT_POSITION`` or ``JOINT_VELOCITY``.
        moves: (R, D) m the hand's move in its base's frame; rad the joints' move; rad/s the
            joints' velocities.
        turns: (R, 3, 3) the hand's rotation, in its base's frame.
        substeps: physics steps.
    """
    count, joints = arms.qvel.shape
    work = Work(
        jacobian=np.empty((6, len(simulation.qvel))),
        mass=np.empty((joints, joints)),
        root=np.zeros((joints, joints)),
        across=np.empty((6, joints)),
        compliance=np.empty((6, 6)),
        factor=np.zeros((6, 6)),
        wanted=np.empty((3, 3)),
        error=np.empty(6),
        force=np.empty(6),
        wrench=np.empty(6),
        home=np.empty(joints),
        felt=np.empty(6),
        torques=np.empty(joints),
    )
    torques = work.torques
    poses = np.empty((count, 4, 3))
    goals = np.empty((count, joints))
    for substep in range(substeps):
        sensed = substep == substeps - 1
        _step1(simulation, sensed)
        for arm in range(count):
            if kind == OSC_POSE:
                if substep == 0:
                    _pose_goal(simulation, arms, arm, moves[arm], turns[arm], poses[arm])
                _pose_torques(simulation, arms, arm, poses[arm], work)
            elif kind == JOINT_POSITION:
                if substep == 0:
                    for i in range(joints):
                        goals[arm, i] = simulation.qpos[arms.qpos[arm, i]] + moves[arm, i]
                _position_torques(simulation, arms, arm, goals[arm], work)
            else:
                _velocity_torques(simulation, arms, arm, moves[arm], memory, torques)
            for i in range(joints):
                low, high = arms.ctrl_low[arm, i], arms.ctrl_high[arm, i]
                simulation.ctrl[arms.actuators[arm, i]] = min(max(torques[i], low), high)
        _step2(simulation, sensed)
