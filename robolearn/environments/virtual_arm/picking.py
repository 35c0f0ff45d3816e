"""How a person picks the cube up: a path of the arm's joints, by inverse kinematics."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from robolearn.environments.virtual_arm.hand import Path
from robolearn.environments.virtual_arm.model import arm_model
from robolearn.environments.virtual_arm.world import SHOULDER_X, WorldState
from robolearn.episodes.frames import Array
from robolearn.errors import MissingDependency, SimulationError

_SOLVER = "daqp"
_ITERATIONS = 300
_STEP = 0.1
_CLOSE_ENOUGH = 5e-4
_UPRIGHT = 0.05
"""Radians by which the fingers may point elsewhere than down, around the cube."""

_ABOVE = 1.0
"""And above it, where the arm is too short to point down."""


_SAMPLES = 50
"""Points of a path a second."""

_TOUCHING = 0.155
"""Radians of the gripper at which both fingers touch the cube."""

_ASIDE = 0.004
"""Metres between the fixed finger and the cube while the gripper comes down."""

_READY = (0.0, -0.9, 0.9, 1.3, 0.0, 0.0)
"""Radians: raised, where nothing is in the way."""

_LEAD_SPEED = 1.2
"""rad/s of the quickest joint on the way to the cube."""


@dataclass(frozen=True)
class Manner:
    """How one attempt differs from another.

    Attributes:
        above: metres above the cube from which the gripper comes down.
        lift: metres by which it goes up again.
        opening: of the gripper, rad.
        pace: of all motion, 1 is ordinary.
    """

    above: float = 0.07
    lift: float = 0.10
    opening: float = 0.75
    pace: float = 1.0

    @classmethod
    def drawn(cls, seed: int) -> Manner:
        """As a person varies, from a seed."""
        random = np.random.default_rng(seed)
        return cls(
            above=random.uniform(0.055, 0.085),
            lift=random.uniform(0.09, 0.12),
            opening=random.uniform(0.65, 0.85),
            pace=random.uniform(0.85, 1.15),
        )


class Picker:
    """Plans paths that pick the cube up.

    Raises:
        MissingDependency: mink, which solves the inverse kinematics, is not installed.
    """

    def __init__(self) -> None:
        self._model = arm_model()
        try:
            import mink
        except ImportError as error:
            raise MissingDependency(
                f"the scripted hand needs mink: pip install 'robolearn[real]' ({error})"
            ) from error
        self._limits = [mink.ConfigurationLimit(self._model)]

    def path(
        self, start: Array, state: WorldState, manner: Manner, squeeze: float, compliance: Array
    ) -> Path:
        """From where the arm is to the cube, around it, and up.

        Args:
            start: (6,) rad where the path begins.
            state: of the world; only the cube matters.
            manner: of this attempt.
            squeeze: rad by which the gripper is closed beyond touching.
            compliance: (6,) rad/N m by which the driven arm gives way. A person sees how an arm
                sags and leads higher; zeros where the hand holds the arm itself.

        Raises:
            SimulationError: the cube is out of reach.
        """
        cube, yaw = state.cube_position, _yaw(state.cube_quaternion)
        up = np.array([0.0, 0.0, 1.0])
        # The shoulder turns clockwise.
        bearing = float(np.arctan2(cube[1], cube[0] - SHOULDER_X))
        ready = np.array([-bearing, *_READY[1:5], manner.opening])
        heading = self._heading(ready)
        yaw += np.round((heading - yaw) / (np.pi / 2)) * np.pi / 2  # the cube has four faces
        across = np.array([np.cos(yaw), np.sin(yaw), 0.0])
        beside = cube - _ASIDE * across
        grasp = self._solve(ready, beside, yaw, _UPRIGHT)
        descent = [
            self._solve(grasp, beside + height * up, yaw, _ABOVE)
            for height in manner.above * np.array([1.0, 0.6, 0.25])
        ]
        ascent = [
            self._solve(grasp, cube + height * up, yaw, _ABOVE)
            for height in manner.lift * np.array([0.0, 0.3, 0.7, 1.0])
        ]
        opened = np.array([[*joints[:5], manner.opening] for joints in (*descent, grasp)])
        closed = np.array([[*joints[:5], _TOUCHING - squeeze] for joints in ascent])
        goals = [self._carried(joints, compliance) for joints in (ready, *opened, *closed)]
        gone = float(np.abs(goals[0] - start).max())
        travel = float(np.abs(goals[1] - goals[0]).max())
        seconds = np.array(
            [
                max(gone / _LEAD_SPEED, 0.5),
                max(travel / _LEAD_SPEED, 0.5),
                *(0.4, 0.4, 0.5),  # down, slower at the end
                0.8,  # closing
                *(0.4, 0.4, 0.4),  # up
            ]
        )
        stops = [0, 1, 2, 5, 6, 9]  # where the motion comes to rest
        return _path([start, *goals], seconds / manner.pace, stops, rest=1.0)

    def _solve(self, guess: Array, place: Array, yaw: float, tilt: float) -> Array:
        """(6,) joints with which the fingers point down at a place, turned by an angle."""
        import mink

        configuration = mink.Configuration(self._model)
        configuration.update(guess)
        task = mink.FrameTask("grasp", "site", position_cost=1.0, orientation_cost=0.001 / tilt)
        turn = mink.SO3.from_z_radians(yaw)
        task.set_target(mink.SE3.from_rotation_and_translation(turn, place))
        posture = mink.PostureTask(self._model, cost=1e-4)
        posture.set_target(guess)
        for _ in range(_ITERATIONS):
            velocity = mink.solve_ik(
                configuration, [task, posture], _STEP, _SOLVER, limits=self._limits
            )
            configuration.integrate_inplace(velocity, _STEP)
            if _reached(task.compute_error(configuration), tilt):
                break
        else:
            raise SimulationError(
                f"the arm cannot reach the cube at {np.round(place, 3).tolist()} from above"
            )
        joints: Array = configuration.q.copy()
        return joints

    def _heading(self, joints: Array) -> float:
        """Radians to which the fixed finger's face looks, seen from above."""
        import mujoco

        data = mujoco.MjData(self._model)
        data.qpos[:] = joints
        mujoco.mj_kinematics(self._model, data)
        x = data.site("grasp").xmat.reshape(3, 3)[:, 0]
        return float(np.arctan2(x[1], x[0]))

    def _carried(self, joints: Array, compliance: Array) -> Array:
        """Where to lead so that the arm, sagging under its weight, is where it is wanted."""
        import mujoco

        data = mujoco.MjData(self._model)
        data.qpos[:] = joints
        mujoco.mj_forward(self._model, data)
        led: Array = joints + compliance * data.qfrc_bias
        return led


def minimum_jerk(share: Array) -> Array:
    """How far a hand is, 0 to 1, after a share of its time (Flash and Hogan 1985)."""
    done: Array = share**3 * (10 + share * (6 * share - 15))
    return done


def _reached(error: Array, tilt: float) -> bool:
    near = np.linalg.norm(error[:3]) < _CLOSE_ENOUGH
    return bool(near and np.linalg.norm(error[3:]) < tilt)


def _yaw(quaternion: Array) -> float:
    w, x, y, z = quaternion
    return float(np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z)))


def _path(goals: list[Array], seconds: Array, stops: list[int], rest: float) -> Path:
    """Through the goals, at rest at some of them and after the last.

    Args:
        goals: (6,) each.
        seconds: between one and the next.
        stops: numbers of goals at which the motion comes to rest, the first and last among them.
        rest: seconds at the end.
    """
    from scipy.interpolate import PchipInterpolator

    arrivals = np.concatenate([[0.0], np.cumsum(seconds)])
    count = int(np.ceil((arrivals[-1] + rest) * _SAMPLES)) + 1
    times = np.arange(count) / _SAMPLES
    # Between two stops the clock itself starts and ends at rest.
    warped = np.full(count, arrivals[-1])
    for first, last in itertools.pairwise(stops):
        begin, end = arrivals[first], arrivals[last]
        inside = (times >= begin) & (times < end)
        share = (times[inside] - begin) / (end - begin)
        warped[inside] = begin + (end - begin) * minimum_jerk(share)
    return Path(times, PchipInterpolator(arrivals, np.array(goals))(warped))
