"""Actions that move the tool, as joint targets: differential inverse kinematics by mink."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from robolearn.environments.arms.kinematics import joint_map, load_model
from robolearn.environments.arms.profile import Arm, PoseActions
from robolearn.environments.safety.geometry import tool_of
from robolearn.episodes.features import STATE, ActionFeature, Feature
from robolearn.episodes.frames import Array
from robolearn.errors import MissingDependency, ShelfError

_ITERATIONS = 20
_NEAR = (1e-4, 1e-3)
"""m and rad from the wanted pose at which it counts as reached."""
_OF_ROTATION = 0.02
"""m that a rad of the wrong orientation counts: an arm of few joints rather gets to the place."""
_DAMPING = 1e-3
_SOLVER = "daqp"


class PoseControl:
    """Turns changes of the tool's pose into joint targets, and joints into observed poses.

    An action's change is of the pose that the arm has now, as robosuite's OSC_POSE takes it, along
    the axes of the base. The joints are found by `mink`, which solves for the joint velocities that
    bring the tool nearest to the pose under the model's limits (Zakka, "Mink: Python inverse
    kinematics based on MuJoCo", 2024).

    Args:
        arm: whose profile has ``[pose]`` and ``[model]``.

    Raises:
        ShelfError: the model does not fit.
        MissingDependency: mink is not installed.
    """

    def __init__(self, arm: Arm) -> None:
        try:
            import mink
        except ImportError as error:
            raise MissingDependency(
                f"actions that move the tool need mink: pip install 'robolearn[real]' ({error})"
            ) from error
        profile = arm.profile
        model = load_model(arm)
        if profile.pose is None or profile.model is None or model is None:
            raise ShelfError(f"{arm.path}: actions that move the tool need [pose] and [model]")
        self._mink: Any = mink
        self._pose: PoseActions = profile.pose
        self._joints = joint_map(arm, model)
        names = profile.names
        self._gripper = names.index(profile.pose.gripper)
        self._arm = [index for index in range(len(names)) if index != self._gripper]
        if any(profile.joints[index].model is None for index in self._arm):
            raise ShelfError(f"{arm.path}: [pose] needs the model's joint of each of the arm's")
        self._low, self._high = profile.si("low"), profile.si("high")
        factor = profile.joints[self._gripper].factor
        self._open, self._shut = profile.pose.open * factor, profile.pose.closed * factor
        self._configuration = mink.Configuration(model)
        is_site, self._number = tool_of(model, profile.model.tool)
        self._is_site = is_site
        self._task = mink.FrameTask(
            profile.model.tool,
            "site" if is_site else "body",
            position_cost=1.0,
            orientation_cost=_OF_ROTATION,
            lm_damping=_DAMPING,
        )
        self._limits = [mink.ConfigurationLimit(model)]
        self._still = mink.DampingTask(model, cost=_DAMPING)
        self._turn = Rotation.from_rotvec(profile.pose.turn)
        self._base = np.array(profile.pose.base)
        home = profile.si("home")
        self.target(np.zeros(7), home, home)  # the first time takes long, and an arm would wait

    @property
    def action(self) -> ActionFeature:
        """(7,) as robosuite's of an arm with one gripper."""
        pose = self._pose
        names = ("x", "y", "z", "rx", "ry", "rz", "gripper")
        return ActionFeature(
            dtype="float32",
            shape=(7,),
            names=names,
            low=(-1.0,) * 7,
            high=(1.0,) * 7,
            gripper=(6,),
            scale=(pose.translation,) * 3 + (pose.rotation,) * 3 + (1.0,),
        )

    @property
    def features(self) -> dict[str, Feature]:
        """What is observed, by robosuite's names."""
        found = {
            "robot0_eef_pos": 3,
            "robot0_eef_quat": 4,
            "robot0_joint_pos": len(self._arm),
            "robot0_gripper_qpos": len(self._pose.gripper_qpos),
        }
        return {f"{STATE}.{name}": Feature("float32", (n,)) for name, n in found.items() if n}

    def observed(self, joints: Array) -> dict[str, Array]:
        """Of (J,) joints; the tool's pose in the world, quaternions (x, y, z, w)."""
        position, rotation = self._tool(joints)
        share = (joints[self._gripper] - self._shut) / (self._open - self._shut)
        values = {
            "robot0_eef_pos": position + self._base,
            "robot0_eef_quat": (rotation * self._turn).as_quat(canonical=True),
            "robot0_joint_pos": self._configuration.q[self._joints.addresses][: len(self._arm)],
            "robot0_gripper_qpos": share * np.array(self._pose.gripper_qpos),
        }
        return {
            name: values[name.removeprefix(f"{STATE}.")].astype(np.float32)
            for name in self.features
        }

    def target(self, action: Array, joints: Array, sent: Array) -> Array:
        """Joint targets for an action.

        Args:
            action: (7,) limited.
            joints: (J,) where they are.
            sent: (J,) targets sent last, near which targets are looked for.

        Returns:
            (J,) rad, m and shares; where the pose is out of reach, the nearest.
        """
        pose, mink = self._pose, self._mink
        position, rotation = self._tool(joints)
        turned = Rotation.from_rotvec(pose.rotation * action[3:6]) * rotation
        wanted = mink.SE3.from_rotation_and_translation(
            mink.SO3(turned.as_quat(scalar_first=True)), position + pose.translation * action[:3]
        )
        self._task.set_target(wanted)
        self._put(sent)
        for _ in range(_ITERATIONS):
            error = self._task.compute_error(self._configuration)
            if np.abs(error[:3]).max() < _NEAR[0] and np.abs(error[3:]).max() < _NEAR[1]:
                break
            velocity = mink.solve_ik(
                self._configuration, [self._task, self._still], 1.0, _SOLVER, limits=self._limits
            )
            self._configuration.integrate_inplace(velocity, 1.0)
        found = sent.copy()
        self._joints.read(self._configuration.q, found)
        found[self._gripper] = self._open + 0.5 * (action[6] + 1) * (self._shut - self._open)
        within: Array = np.clip(found, self._low, self._high)
        return within

    def achieved(self, before: Array, sent: Array) -> Array:
        """The action that leads from joints to what was sent, (7,): what the limits left of it."""
        pose = self._pose
        position, rotation = self._tool(before)
        new_position, new_rotation = self._tool(sent)
        turn = (new_rotation * rotation.inv()).as_rotvec()
        share = (sent[self._gripper] - self._open) / (self._shut - self._open)
        action: Array = np.concatenate(
            [(new_position - position) / pose.translation, turn / pose.rotation, [2 * share - 1]]
        )
        return action.astype(np.float32)

    def towards(self, joints: Array, wanted: Array) -> Array:
        """The action, (7,), that leads from (J,) joints to others, or as far as one action may."""
        action = self.achieved(joints, wanted)
        for part in (slice(0, 3), slice(3, 6), slice(6, 7)):  # each keeps its direction
            action[part] /= max(1.0, float(np.abs(action[part]).max()))
        return action

    def _put(self, joints: Array) -> None:
        qpos = self._configuration.q.copy()
        self._joints.write(np.ascontiguousarray(joints, np.float64), qpos)
        self._configuration.update(qpos)

    def _tool(self, joints: Array) -> tuple[Array, Rotation]:
        """Where the tool is, in the model's frame."""
        self._put(joints)
        data = self._configuration.data
        places = (data.site_xpos, data.site_xmat) if self._is_site else (data.xpos, data.xmat)
        position, matrix = (values[self._number].copy() for values in places)
        return position, Rotation.from_matrix(matrix.reshape(3, 3))
