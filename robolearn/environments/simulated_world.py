"""What a robosuite environment simulates: its own model or a stored one, as drawn; and pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from robolearn.environments.borrowed import numpy_seeded, references_renewed, warnings_kept
from robolearn.environments.randomization import Drawn, Randomization
from robolearn.environments.randomized_model import RandomizedModel, dress
from robolearn.environments.rendering import CameraRenderer
from robolearn.environments.simulated_model import SimulatedModel, place_bodies
from robolearn.environments.stored_model import joint_names, loadable
from robolearn.environments.task import Cameras
from robolearn.episodes.formats.model_file import portable
from robolearn.episodes.frames import Array
from robolearn.errors import SimulationError

MODEL_SEED = 0
"""robosuite draws object sizes when it builds a model: one seed, one model in every process."""

_NOTHING = Drawn(Randomization(), 0)


class SimulatedWorld:
    """The model in a robosuite environment, and what draws pictures of it.

    Args:
        env: a robosuite environment as it was made.
        cameras: that are rendered.
        assets: folder of robosuite's meshes and textures.

    Raises:
        MissingDependency: cameras need a GL library.
        SimulationError: there is no such camera.
    """

    def __init__(self, env: Any, cameras: Cameras, assets: Path) -> None:
        self._env = env
        self._cameras = cameras
        self._assets = assets
        own = portable(re.sub(r"\n\s*", "", env.sim.model.get_xml()))
        self._joint_names = joint_names(own)
        self._own = SimulatedModel(own, self.model)
        self._stored: SimulatedModel | None = self._own
        self._randomized = RandomizedModel(self.model)
        self._loaded = False
        self._renderer: CameraRenderer | None = None
        self._make_renderer()

    @property
    def env(self) -> Any:
        """robosuite's environment.

        Raises:
            SimulationError: it is closed.
        """
        if self._env.sim is None:
            raise SimulationError("the environment is closed: make another one")
        return self._env

    @property
    def model(self) -> Any:
        """The compiled ``mujoco.MjModel``."""
        return self.env.sim.model._model

    @property
    def is_own(self) -> bool:
        """Whether the model is the task's own, with its bodies where they may be."""
        return self._stored is self._own

    @property
    def text(self) -> str | None:
        """The model as it is simulated now; None after one that could not be loaded."""
        if self._stored is None:
            return None
        return self._randomized.text(self._stored.text_of(self.model))

    def draw(self, drawn: Drawn) -> None:
        """Make the model one of the worlds that a randomisation draws."""
        self._randomized.draw(drawn)
        self._dress(drawn)

    def restore(self) -> None:
        """Simulate the task's own model again, where another one was loaded."""
        if not self._loaded:
            return
        if not self.is_own:
            self._compile_own()
        self.draw(_NOTHING)
        self._loaded = False

    def load(self, text: str, drawn: Drawn | None) -> None:
        """Simulate a stored model instead.

        Args:
            text: of the model. May be hostile.
            drawn: what it was recorded in, if that was randomised.

        Raises:
            SimulationError: it cannot be loaded, or is of another task or robot.
        """
        joints = joint_names(text)
        if joints != self._joint_names:
            differing = sorted(set(joints) ^ set(self._joint_names)) or ["their order"]
            raise SimulationError(f"the joints differ in {', '.join(differing)}")
        xml = loadable(text, self._assets)
        text = portable(text)
        self._loaded = True
        if self._becomes(text, drawn):
            return
        try:
            if not self.is_own and (drawn or self._own.poses_in(text) is not None):
                self._compile_own()
                if self._becomes(text, drawn):
                    return
            self._compile(xml)
        except Exception as error:  # MuJoCo and robosuite raise what they come across
            raise SimulationError(" ".join(str(error).split())) from error
        self._stored = SimulatedModel(text, self.model)
        self._make_renderer()
        self._dress(drawn)

    def image(self, camera: str) -> Array:
        """(height, width, 3) uint8 what a camera sees now.

        Raises:
            SimulationError: it is not among those that are rendered.
        """
        return self._renderer_of(camera).image(self._env.sim.data._data, camera)

    def depth(self, camera: str) -> Array:
        """(height, width, 1) float32 how far what a camera sees is along its axis, m.

        Raises:
            SimulationError: it is not among those that are rendered.
        """
        return self._renderer_of(camera).depth(self._env.sim.data._data, camera)

    def close(self) -> None:
        """Free what draws. May be called twice."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _renderer_of(self, camera: str) -> CameraRenderer:
        if self._renderer is None or camera not in self._cameras.names:
            raise SimulationError(f"the task has no camera {camera!r}")
        return self._renderer

    def _becomes(self, text: str, drawn: Drawn | None) -> bool:
        """Whether the model that is simulated is a stored one, drawn so and its bodies moved.

        It is left so if it is.
        """
        stored = self._stored
        if self.is_own:
            self._randomized.draw(drawn or _NOTHING)
            if drawn is not None:
                stored = SimulatedModel(self._randomized.text(self._own.xml), self.model)
        poses = None if stored is None else stored.poses_in(text)
        if poses is None:
            return False
        place_bodies(self.model, poses)
        self._dress(drawn)
        return True

    def _compile(self, xml: str) -> None:
        """Simulate this model, at rest."""
        self._stored = None
        self.close()
        with numpy_seeded(MODEL_SEED), references_renewed(self._env), warnings_kept() as warned:
            self._env.reset_from_xml_string(xml)
        if warned:
            raise ValueError(warned[0])
        self._randomized = RandomizedModel(self.model)

    def _compile_own(self) -> None:
        self._compile(self._env.model.get_xml())
        self._stored = self._own
        self._make_renderer()

    def _make_renderer(self) -> None:
        cameras = self._cameras
        if cameras.names:
            self._renderer = CameraRenderer(
                self.model, cameras.names, cameras.height, cameras.width, cameras.quality
            )

    def _dress(self, drawn: Drawn | None) -> None:
        if self._renderer is not None:
            dress(self._renderer, self.model, drawn or _NOTHING)
