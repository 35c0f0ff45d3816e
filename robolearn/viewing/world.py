"""A MuJoCo model that is moved as the world of an episode moved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from robolearn.episodes.episode import Episode
from robolearn.episodes.frames import Array
from robolearn.viewing.meshes import Mesh, body_meshes

if TYPE_CHECKING:
    import mujoco


@dataclass(frozen=True)
class Poses:
    """How a body moved.

    Attributes:
        positions: (T, 3) of its origin in the world, m.
        quaternions: (T, 4) of its axes, (x, y, z, w).
    """

    positions: Array
    quaternions: Array


class World(ABC):
    """Where the bodies of a model were.

    Args:
        model: MuJoCo's.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        import mujoco

        self.model: mujoco.MjModel = model
        self._data: mujoco.MjData = mujoco.MjData(model)

    @abstractmethod
    def positions(self, episode: Episode) -> Array:
        """(T, nq) MuJoCo's positions of all joints at each frame.

        Raises:
            SimulationError: the episode does not fit this world.
        """

    def meshes(self) -> dict[str, Mesh]:
        """What is seen of each body, in its own frame, by the body's name. Walls are left out."""
        return {self._body_name(body): mesh for body, mesh in body_meshes(self.model).items()}

    def is_fixed(self, body: str) -> bool:
        """Whether a body cannot move at all."""
        index = self._body_index(body)
        return bool(self.model.body_weldid[index] == 0 and self.model.body_mocapid[index] < 0)

    def is_free(self, body: str) -> bool:
        """Whether a body hangs on nothing: an object that can be moved about."""
        import mujoco

        joint = int(self.model.body_jntadr[self._body_index(body)])
        return joint >= 0 and bool(self.model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE)

    def poses(self, episode: Episode) -> dict[str, Poses]:
        """Where every body was at each frame of an episode, by the body's name.

        Raises:
            SimulationError: the episode does not fit this world.
        """
        import mujoco

        rows = self.positions(episode)
        positions = np.empty((len(rows), self.model.nbody, 3))
        quaternions = np.empty((len(rows), self.model.nbody, 4))
        for frame, row in enumerate(rows):
            self._data.qpos[:] = row
            mujoco.mj_kinematics(self.model, self._data)
            positions[frame] = self._data.xpos
            quaternions[frame] = self._data.xquat
        quaternions = np.roll(quaternions, -1, axis=-1)  # MuJoCo's order is (w, x, y, z)
        return {
            self._body_name(body): Poses(positions[:, body], quaternions[:, body])
            for body in range(self.model.nbody)
        }

    def _body_name(self, body: int) -> str:
        return self.model.body(body).name or f"body_{body}"

    def _body_index(self, name: str) -> int:
        return next(body for body in range(self.model.nbody) if self._body_name(body) == name)
