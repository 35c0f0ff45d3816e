"""What happens on the table: two arms, their servos, the hands on them, and a cube."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from robolearn.environments.virtual_arm.calibration import calibrated_servos
from robolearn.environments.virtual_arm.hand import Hand
from robolearn.environments.virtual_arm.model import CUBE_HALF, JOINTS, world_model
from robolearn.environments.virtual_arm.servo import BACK_EMF
from robolearn.episodes.frames import Array

if TYPE_CHECKING:
    import mujoco

ARMS = ("follower", "leader")

REST = (0.0, -1.70, 1.66, 1.00, 0.0, 0.0)
"""Radians: folded, as an arm is put away."""

LIFTED = 0.04
"""Metres above where it lies from which the cube counts as lifted."""

CUBE_DISTANCE = (0.16, 0.25)
CUBE_BEARING = (-0.6, 0.6)
"""Where a reset puts the cube: metres and radians from the axis that the shoulder turns about."""

SHOULDER_X = 0.0388353
_SETTLING = 2.0
"""Simulated seconds in which the limp arms come to rest before anybody sees them."""

_STEPS = 2
"""Of the physics for one of the servos' loop."""

_BLOCKED = 1000.0
"""N m s/rad that keep a joint from turning."""


@dataclass(frozen=True)
class WorldState:
    """What an onlooker sees.

    Attributes:
        time: seconds of the physics since the start.
        cube_position: (3,) metres, of its centre in the frame of the follower's base.
        cube_quaternion: (4,) w, x, y, z.
        follower: (6,) the follower's joints, rad.
        leader: (6,) the leader's joints, rad.
        told: (6,) where the follower's servos were told to be, rad.
    """

    time: float
    cube_position: Array
    cube_quaternion: Array
    follower: Array
    leader: Array
    told: Array

    @property
    def cube_height(self) -> float:
        """Metres by which the cube is higher than on the table."""
        return float(self.cube_position[2]) - CUBE_HALF

    @property
    def lifted(self) -> bool:
        """Whether the cube is well above the table."""
        return self.cube_height >= LIFTED

    def to_json(self) -> dict[str, Any]:
        """As it is sent to another process."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> WorldState:
        """As `to_json` wrote it."""
        arrays = {name: np.array(value) for name, value in values.items() if name != "time"}
        return cls(time=values["time"], **arrays)


class Arm:
    """An arm in the world.

    Attributes:
        servos: six, by their numbers.
        hand: that may hold it.
        positions: where its joints are in the physics' positions.
        velocities: and in its velocities.
        ranges: (6, 2) rad.
        damping: (6,) N m s/rad without a driven motor.
    """

    def __init__(self, model: mujoco.MjModel, name: str) -> None:
        joints = [model.joint(f"{name}/{joint}") for joint in JOINTS]
        ranges = np.array([joint.range for joint in joints])
        self.servos = calibrated_servos(name, ranges)
        self.hand = Hand()
        self.positions = np.array([int(joint.qposadr[0]) for joint in joints])
        self.velocities = np.array([int(joint.dofadr[0]) for joint in joints])
        self.ranges = ranges
        self.damping = model.dof_damping[self.velocities].copy()


class World:
    """Physics that goes on one step at a time.

    Args:
        seed: of the cube's first place.

    Attributes:
        model: the compiled world.
        arms: by name.
        period: seconds of a step.
        lock: held by who reads or changes the world while another thread steps it.
    """

    def __init__(self, seed: int = 0) -> None:
        import mujoco

        self.model = world_model()
        self.lock = threading.Lock()
        self.arms = {name: Arm(self.model, name) for name in ARMS}
        self.period = float(self.model.opt.timestep) * _STEPS
        self._data = mujoco.MjData(self.model)
        cube = self.model.joint("cube")
        self._cube_position = int(cube.qposadr[0])
        self._cube_velocity = int(cube.dofadr[0])
        for arm in self.arms.values():
            self._data.qpos[arm.positions] = REST
        for _ in range(round(_SETTLING / self.period)):
            self.step()
        self.reset(seed)

    def step(self) -> None:
        """Go on by one `period`."""
        import mujoco

        data = self._data
        for arm in self.arms.values():
            joints, velocities = data.qpos[arm.positions], data.qvel[arm.velocities]
            torques, damping = [], []
            for servo, angle, velocity in zip(
                arm.servos, joints.tolist(), velocities.tolist(), strict=True
            ):
                torques.append(servo.drive(angle, velocity, self.period))
                damping.append(_BLOCKED if servo.blocked else BACK_EMF * servo.driven)
            data.qfrc_applied[arm.velocities] = torques
            if arm.hand.holds:
                weight = data.qfrc_bias[arm.velocities]
                data.qfrc_applied[arm.velocities] += arm.hand.torque(
                    joints, velocities, weight, data.time
                )
            self.model.dof_damping[arm.velocities] = arm.damping + damping
        mujoco.mj_step(self.model, data, _STEPS)

    def reset(self, seed: int) -> None:
        """Put the cube on the table, as a person does between two attempts; the arms stay.

        Args:
            seed: decides where, and how it is turned.
        """
        random = np.random.default_rng(seed)
        distance, bearing = random.uniform(*CUBE_DISTANCE), random.uniform(*CUBE_BEARING)
        yaw = random.uniform(-np.pi / 4, np.pi / 4)
        data, place = self._data, self._cube_position
        data.qpos[place : place + 3] = (
            SHOULDER_X + distance * np.cos(bearing),
            distance * np.sin(bearing),
            CUBE_HALF,
        )
        data.qpos[place + 3 : place + 7] = (np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2))
        data.qvel[self._cube_velocity : self._cube_velocity + 6] = 0.0

    @property
    def time(self) -> float:
        """Seconds of the physics since the start."""
        return float(self._data.time)

    def positions(self) -> Array:
        """All positions of the physics, for drawing."""
        positions: Array = self._data.qpos.copy()
        return positions

    def state(self) -> WorldState:
        """What an onlooker sees now."""
        data, place = self._data, self._cube_position
        return WorldState(
            time=self.time,
            cube_position=data.qpos[place : place + 3].copy(),
            cube_quaternion=data.qpos[place + 3 : place + 7].copy(),
            follower=data.qpos[self.arms["follower"].positions].copy(),
            leader=data.qpos[self.arms["leader"].positions].copy(),
            told=np.array([servo.goal for servo in self.arms["follower"].servos]),
        )
