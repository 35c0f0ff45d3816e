"""The simulated world of an episode, rebuilt from what the episode holds, without its simulator."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robolearn.environments.rendering import select_gl
from robolearn.environments.stored_model import loadable
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import SIMULATOR_STATE
from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.errors import MissingDependency, SimulationError
from robolearn.viewing.meshes import Mesh, body_meshes

if TYPE_CHECKING:
    import mujoco

_PACKAGE = "robosuite"


@dataclass(frozen=True)
class Poses:
    """How a body moved.

    Attributes:
        positions: (T, 3) of its origin in the world, m.
        quaternions: (T, 4) of its axes, (x, y, z, w).
    """

    positions: Array
    quaternions: Array


class World:
    """A MuJoCo model that is moved through saved states.

    Objects have the sizes of the episode that it was made from.

    Args:
        context: of an episode that was recorded in MuJoCo.

    Raises:
        MissingDependency: mujoco or the package with the model's meshes is not installed.
        SimulationError: the context has no model or no states, or MuJoCo cannot read it.
    """

    def __init__(self, context: EpisodeContext) -> None:
        if context.model_file is None or SIMULATOR_STATE not in context.features:
            raise SimulationError("the episodes hold no simulated world (model_file and states)")
        try:
            xml = _loadable(context.model_file)
        except SimulationError as error:
            raise SimulationError(f"MuJoCo cannot read the episode's model: {error}") from error
        select_gl()  # mujoco cannot be imported with a GL backend that is not there
        try:
            import mujoco
        except ImportError as error:
            raise MissingDependency(
                f"the arm's shape needs mujoco ({error}): pip install 'robolearn[sim]'"
            ) from error
        try:
            self.model: mujoco.MjModel = mujoco.MjModel.from_xml_string(xml)
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise SimulationError(f"MuJoCo cannot read the episode's model: {reason}") from error
        self.model.site_rgba[:, 3] = 0  # marks for the simulator's own use
        size = context.features[SIMULATOR_STATE].shape
        if size != (1 + self.model.nq + self.model.nv,):
            raise SimulationError(
                f"the episode's states have {size} elements, which do not fit its model: "
                f"time, {self.model.nq} positions and {self.model.nv} velocities"
            )
        self._data: mujoco.MjData = mujoco.MjData(self.model)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the model's cameras."""
        return tuple(self.model.camera(index).name for index in range(self.model.ncam))

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
            SimulationError: the episode's states do not fit this world.
        """
        import mujoco

        states = self._states(episode)
        positions = np.empty((len(states), self.model.nbody, 3))
        quaternions = np.empty((len(states), self.model.nbody, 4))
        for frame, state in enumerate(states):
            self._data.qpos[:] = state[1 : 1 + self.model.nq]
            mujoco.mj_kinematics(self.model, self._data)
            positions[frame] = self._data.xpos
            quaternions[frame] = self._data.xquat
        quaternions = np.roll(quaternions, -1, axis=-1)  # MuJoCo's order is (w, x, y, z)
        return {
            self._body_name(body): Poses(positions[:, body], quaternions[:, body])
            for body in range(self.model.nbody)
        }

    def at(self, episode: Episode, frame: int) -> mujoco.MjData:
        """The world as it was at one frame, ready to be rendered; the next call overwrites it.

        Raises:
            SimulationError: the episode's states do not fit this world.
        """
        import mujoco

        state = self._states(episode)[frame]
        self._data.qpos[:] = state[1 : 1 + self.model.nq]
        self._data.qvel[:] = state[1 + self.model.nq :]
        mujoco.mj_forward(self.model, self._data)
        return self._data

    def _states(self, episode: Episode) -> Array:
        states = episode.observations.get(SIMULATOR_STATE)
        size = 1 + self.model.nq + self.model.nv
        if states is None or states.shape[1:] != (size,):
            raise SimulationError(
                f"an episode has no states of {size} elements, as the first one has"
            )
        return states

    def _body_name(self, body: int) -> str:
        return self.model.body(body).name or f"body_{body}"

    def _body_index(self, name: str) -> int:
        return next(body for body in range(self.model.nbody) if self._body_name(body) == name)


def _loadable(model_file: str) -> str:
    """The model with its meshes where robosuite is installed; it is not imported for that."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        if "file=" in model_file:
            raise MissingDependency(
                "the arm's shape needs robosuite's meshes: pip install 'robolearn[sim]'"
            )
        return loadable(model_file, Path(_PACKAGE, "models", "assets"))
    return loadable(model_file, Path(spec.origin).parent / "models" / "assets")
