"""The simulated world of an episode, rebuilt from what the episode holds, without its simulator."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from robolearn.environments.rendering import select_gl
from robolearn.environments.stored_model import loadable
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import SIMULATOR_STATE
from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.errors import MissingDependency, SimulationError
from robolearn.viewing.world import World

if TYPE_CHECKING:
    import mujoco

_PACKAGE = "robosuite"


class SimulatedWorld(World):
    """The model that an episode was simulated with, moved through its saved states.

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
            super().__init__(mujoco.MjModel.from_xml_string(xml))
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

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the model's cameras."""
        return tuple(self.model.camera(index).name for index in range(self.model.ncam))

    def positions(self, episode: Episode) -> Array:
        positions: Array = self._states(episode)[:, 1 : 1 + self.model.nq]
        return positions

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
