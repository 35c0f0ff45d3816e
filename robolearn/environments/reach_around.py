"""ReachAround: a robosuite task that can be done in two ways, whose average does not do it.

It is for studying demonstrations with several modes. Importing this module registers the task with
robosuite; `import_robosuite` does that.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np
from robosuite.environments.manipulation.manipulation_env import ManipulationEnv
from robosuite.models.arenas import TableArena
from robosuite.models.objects import CylinderObject
from robosuite.models.tasks import ManipulationTask
from robosuite.utils.mjcf_utils import new_inertial
from robosuite.utils.observables import Observable, sensor
from robosuite.utils.transform_utils import convert_quat
from scipy.spatial.transform import Rotation

from robolearn.episodes.frames import Array

_TABLE_SIZE = (0.8, 0.8, 0.05)
_TABLE_TOP = np.array([0.0, 0.0, 0.8])
_HEIGHT = 0.1
"""Of the hand above the table when it begins and when it is to arrive, m."""

_START = np.array([-0.18, 0.0])
_PILLAR = np.array([0.0, 0.0])
_GOAL = np.array([0.14, 0.0])
"""Where they are above the table, x and y in m, but for what is drawn for an episode."""

_START_RANGE = np.array([0.01, 0.005])
_PILLAR_RANGE = np.array([0.01, 0.01])
_GOAL_RANGE = np.array([0.01, 0.03])
"""The largest differences from that, x and y in m."""

_RADIUS = 0.03
_HALF_HEIGHT = 0.1
_DENSITY = 150.0
"""Of the pillar, in m, m and kg/m³: it weighs 85 g and topples when it is touched."""

_REACHED = 0.03
_MOVED = 0.015
_TILTED = 0.1
"""The hand is at the goal, the pillar has been moved (m), or tilted (rad)."""

_CLEARANCE = 0.16
"""Between the middles of hand and pillar on a way that is surely clear, m: a Panda's hand is 20 cm
wide."""


class ReachAround(ManipulationEnv):  # type: ignore[misc]  # robosuite is published without types
    """Bring the hand to a mark on the table behind a pillar, and leave the pillar standing.

    The hand may pass on the left or on the right. It is wide, the pillar stands in the middle of
    the straight way and is higher than the hand is, so that no other way is open.

    Whether the task is accomplished follows from a state of the simulator alone: where the pillar
    was put is shown by a second mark, and both marks are bodies with positions of their own.

    Args:
        robots: robosuite's name of one arm. Whichever it is, its hand begins at the same place.
        reward_scale: the reward of the goal.
        reward_shaping: reward the hand for being near the goal, too, by the shortest way round the
            pillar, as long as that stands.
        use_object_obs: whether the observables of goal, pillar and mark are there.
        options: whatever else robosuite's `ManipulationEnv` takes.
    """

    def __init__(
        self,
        robots: Any,
        reward_scale: float = 1.0,
        reward_shaping: bool = False,
        use_object_obs: bool = True,
        **options: Any,
    ) -> None:
        self._reward_scale = reward_scale
        self._reward_shaping = reward_shaping
        self._use_object_obs = use_object_obs
        super().__init__(robots, **{"initialization_noise": "default"} | options)

    def reward(self, action: Any = None) -> float:
        """1 at the goal, otherwise 0, or with shaping 0.9 (1 − tanh 5d) for d metres to go."""
        reward = 0.0
        if self._check_success():
            reward = 1.0
        elif self._reward_shaping and self._stands():
            reward = 0.9 * (1 - np.tanh(5 * self._way_to_go()))
        return self._reward_scale * reward

    def _check_success(self) -> bool:
        return bool(np.linalg.norm(self._goal() - self._hand()) < _REACHED) and self._stands()

    def _stands(self) -> bool:
        """Whether the pillar is where it was put, and upright."""
        data = self.sim.data
        upright = data.body_xmat[self._pillar_body].reshape(3, 3)[2, 2]
        moved = data.body_xpos[self._pillar_body] - data.body_xpos[self._stand_body]
        return bool(np.linalg.norm(moved[:2]) < _MOVED and upright > np.cos(_TILTED))

    def _hand(self) -> Array:
        hand: Array = self.sim.data.site_xpos[self.robots[0].eef_site_id["right"]]
        return hand

    def _goal(self) -> Array:
        """(3,) where the hand has to be, above its mark."""
        above: Array = self.sim.data.body_xpos[self._goal_body] + [0, 0, _HEIGHT]
        return above

    def _way_to_go(self) -> float:
        """Metres from the hand to the goal, round the pillar where that is in the way."""
        hand, goal = self._hand(), self._goal()
        pillar = self.sim.data.body_xpos[self._pillar_body][:2]
        straight = goal[:2] - hand[:2]
        length = float(np.linalg.norm(straight))
        nearest = np.clip((pillar - hand[:2]) @ straight / max(length, 1e-9) ** 2, 0, 1)
        if np.linalg.norm(hand[:2] + nearest * straight - pillar) < _CLEARANCE and 0 < nearest < 1:
            aside = _CLEARANCE * np.array([-straight[1], straight[0]]) / length
            length = min(
                float(np.linalg.norm(beside - hand[:2]) + np.linalg.norm(goal[:2] - beside))
                for beside in (pillar + aside, pillar - aside)
            )
        return float(np.hypot(length, goal[2] - hand[2]))

    def _load_model(self) -> None:
        super()._load_model()
        robot = self.robots[0].robot_model
        robot.set_base_xpos(robot.base_xpos_offset["table"](_TABLE_SIZE[0]))
        arena = TableArena(table_full_size=_TABLE_SIZE, table_offset=_TABLE_TOP)
        arena.set_origin([0, 0, 0])
        self._pillar = CylinderObject(
            name="pillar",
            size=[_RADIUS, _HALF_HEIGHT],
            rgba=[0.8, 0.1, 0.1, 1],
            density=_DENSITY,
        )
        self._marks = [
            _mark("goal", 0.03, [0.1, 0.7, 0.2, 1]),
            _mark("stand", 1.5 * _RADIUS, [0.2, 0.2, 0.2, 1]),
        ]
        self.model = ManipulationTask(
            mujoco_arena=arena,
            mujoco_robots=[robot],
            mujoco_objects=[self._pillar, *self._marks],
        )

    def _setup_references(self) -> None:
        super()._setup_references()
        model = self.sim.model
        self._pillar_body = model.body_name2id(self._pillar.root_body)
        self._goal_body, self._stand_body = (
            model.body_name2id(mark.root_body) for mark in self._marks
        )

    def _setup_observables(self) -> Any:
        observables = super()._setup_observables()
        if not self._use_object_obs:
            return observables

        sensed = {
            "goal_pos": self._goal,
            "pillar_pos": lambda: np.array(self.sim.data.body_xpos[self._pillar_body]),
            "pillar_quat": lambda: convert_quat(
                self.sim.data.body_xquat[self._pillar_body], to="xyzw"
            ),
            "stand_pos": lambda: np.array(self.sim.data.body_xpos[self._stand_body]),
            "gripper_to_goal_pos": lambda: self._goal() - self._hand(),
            "gripper_to_pillar_pos": lambda: (
                self.sim.data.body_xpos[self._pillar_body] - self._hand()
            ),
        }
        for name, sense in sensed.items():
            observables[name] = Observable(
                name=name,
                sensor=sensor(modality="object")(lambda _, sense=sense: sense()),
                sampling_rate=self.control_freq,
            )
        return observables

    def _reset_internal(self) -> None:
        super()._reset_internal()
        if self.deterministic_reset:  # robosuite has loaded a stored model
            return

        def draw(middle: Array, range_: Array) -> Array:
            # As robosuite's own tasks do, which seed NumPy's generator.
            drawn: Array = middle + np.random.uniform(-range_, range_)  # noqa: NPY002
            return drawn

        start, pillar, goal = (
            draw(_START, _START_RANGE),
            draw(_PILLAR, _PILLAR_RANGE),
            draw(_GOAL, _GOAL_RANGE),
        )
        data = self.sim.data
        standing = [*pillar, _TABLE_TOP[2] + _HALF_HEIGHT, 1, 0, 0, 0]
        data.set_joint_qpos(self._pillar.joints[0], np.array(standing))
        for mark, place in zip(self._marks, (goal, pillar), strict=True):
            for joint, value in zip(mark.joints, place, strict=True):
                data.set_joint_qpos(joint, value)
        self._move_hand(np.array([*start, _TABLE_TOP[2] + _HEIGHT]))

    def _move_hand(self, position: Array) -> None:
        """Put the arm where the hand is at a position, and not turned.

        By damped least squares (Nakamura and Hanafusa 1986) from where the arm is.

        Args:
            position: (3,) of the hand, m.
        """
        robot = self.robots[0]
        model, data = self.sim.model._model, self.sim.data._data
        site = robot.eef_site_id["right"]
        jacobian = np.zeros((6, model.nv))
        wanted: Rotation | None = None
        for _ in range(50):
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            mujoco.mj_jacSite(model, data, jacobian[:3], jacobian[3:], site)
            turned = Rotation.from_matrix(data.site_xmat[site].reshape(3, 3))
            wanted = wanted or turned
            error = np.concatenate(
                [position - data.site_xpos[site], (wanted * turned.inv()).as_rotvec()]
            )
            if np.abs(error).max() < 1e-6:
                break
            arm = jacobian[:, robot._ref_joint_vel_indexes]
            change = arm.T @ np.linalg.solve(arm @ arm.T + 1e-4 * np.eye(6), error)
            data.qpos[robot._ref_joint_pos_indexes] += change
        self.sim.forward()
        for controller in robot.composite_controller.part_controllers.values():
            # Arms keep to the pose that they begin in, where the hand leaves them free.
            controller.update_initial_joints(data.qpos[controller.qpos_index])


def _mark(name: str, radius: float, rgba: list[float]) -> Any:
    """A disc painted on the table, that nothing touches and that can be put anywhere."""
    mark = CylinderObject(
        name=name,
        size=[radius, 0.001],
        rgba=rgba,
        obj_type="visual",
        joints=[
            {"name": axis, "type": "slide", "axis": direction}
            for axis, direction in (("x", "1 0 0"), ("y", "0 1 0"))
        ],
    )
    body = mark.get_obj()
    body.set("pos", f"0 0 {_TABLE_TOP[2]}")
    # MuJoCo moves nothing without mass, and robosuite's visuals count for none.
    body.append(new_inertial(mass=0.1, diaginertia=(1e-4, 1e-4, 1e-4)))
    return mark
