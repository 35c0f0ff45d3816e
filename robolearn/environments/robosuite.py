"""robosuite's tasks as environments."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robolearn.environments.environment import Environment
from robolearn.environments.rendering import CameraRenderer, require_gl
from robolearn.environments.robosuite_arguments import action_feature, env_args
from robolearn.environments.robosuite_import import import_robosuite
from robolearn.environments.stored_model import joint_names, loadable
from robolearn.environments.task import SimTask
from robolearn.episodes.features import (
    ENVIRONMENT_STATE,
    IMAGES,
    SIMULATOR_STATE,
    STATE,
    Feature,
)
from robolearn.episodes.formats.model_file import portable
from robolearn.episodes.frames import Array, EpisodeContext, Observation
from robolearn.errors import SimulationError

if TYPE_CHECKING:
    from robolearn.environments.fast_stepping import Stepping

_MODEL_SEED = 0
"""robosuite draws object sizes when it builds a model: one seed, one model in every process."""

_GREATEST_STATE = 1e10
"""MuJoCo resets a simulation with a position or velocity beyond."""


class RobosuiteEnvironment(Environment):
    """One robosuite task in this process.

    Args:
        task: from the shelf ``sim/``.

    Raises:
        MissingDependency: robosuite is not installed, or cameras need a GL library.
        SimulationError: robosuite knows no such task, robot, observable or camera.
    """

    def __init__(self, task: SimTask) -> None:
        self._task = task
        if task.cameras.names:
            require_gl()
        robosuite = import_robosuite()
        simulator = task.simulator
        _require_known("task", simulator.environment, robosuite.ALL_ENVIRONMENTS)
        for robot in simulator.robots:
            _require_known("robot", robot, robosuite.ALL_ROBOTS)
        self._env_args = env_args(task, robosuite.__version__)
        try:
            with _numpy_seeded(_MODEL_SEED):
                self._env = robosuite.make(
                    **self._env_args["env_kwargs"] | {"env_name": simulator.environment}
                )
        except Exception as error:
            raise SimulationError(
                f"robosuite cannot make {simulator.environment}: {error}"
            ) from error
        self._assets = Path(robosuite.__file__).parent / "models" / "assets"
        self._renderer: CameraRenderer | None = None
        self._make_renderer()
        self._model_file = portable(re.sub(r"\n\s*", "", self._env.sim.model.get_xml()))
        self._joint_names = joint_names(self._model_file)
        self._observed = self._reset(seed=0)
        self._features = self._describe_features()
        self._action = action_feature(self._env, task)
        self._seed: int | None = None
        self._reward: float | None = None

    @property
    def context(self) -> EpisodeContext:
        return EpisodeContext(
            features=self._features,
            action=self._action,
            task=self._task.text,
            rate=self._task.simulator.rate,
            env_args=self._env_args,
            model_file=self._model_file,
            seed=self._seed,
        )

    @property
    def horizon(self) -> int:
        return self._task.simulator.horizon

    def reset(self, seed: int) -> None:
        self._seed = seed
        self._observed = self._reset(seed)
        self._reward = None

    def observe(self) -> Observation:
        now = time.monotonic()
        values = self.vectors()
        timestamps = dict.fromkeys(values, now)
        for camera in self._task.cameras.names:
            name = f"{IMAGES}.{camera}"
            values[name] = self.image(name)
            timestamps[name] = time.monotonic()
        return Observation(
            values=values,
            timestamps=timestamps,
            time=float(self._env.cur_time),
            reward=self._reward,
            success=self.success,
        )

    def vectors(self) -> dict[str, Array]:
        """What is observed now and is no image, by feature name."""
        raw = self._observed
        values: dict[str, Array] = {
            f"{STATE}.{name}": self._features[f"{STATE}.{name}"].as_frame(raw[name])
            for name in self._task.observation.state
        }
        values[ENVIRONMENT_STATE] = self._features[ENVIRONMENT_STATE].as_frame(
            np.concatenate([np.ravel(raw[name]) for name in self._task.observation.objects])
        )
        values[SIMULATOR_STATE] = self._env.sim.get_state().flatten()
        return values

    def image(self, name: str) -> Array:
        """(height, width, 3) uint8 what one of the task's cameras sees now.

        Args:
            name: of its feature.

        Raises:
            SimulationError: the task has no such camera.
        """
        camera = name.removeprefix(f"{IMAGES}.")
        if self._renderer is None or camera not in self._task.cameras.names:
            raise SimulationError(f"the task has no camera {camera!r}")
        return self._renderer.image(self._env.sim.data._data, camera)

    @property
    def reward(self) -> float | None:
        """Of the step that led here; None after a reset."""
        return self._reward

    @property
    def success(self) -> bool:
        """Whether the task is accomplished now."""
        return bool(self._env._check_success())

    def act(self, action: Array) -> Array:
        requested = self._action.as_frame(action)
        if not np.isfinite(requested).all():
            raise ValueError(f"the action is not finite: {requested}")
        sent = np.clip(requested, self._action.low, self._action.high).astype(requested.dtype)
        self._reward = float(self._stepping.step(sent.astype(np.float64)))
        # Sensed now: what robosuite's own step returns is as old as a whole step at rates that its
        # substeps do not divide.
        self._observed = self._env._get_observations(force_update=True)
        return sent

    def load_model(self, model_file: str) -> None:
        """Simulate a stored model of this task, with its sizes and places, instead of the own one.

        Args:
            model_file: as `EpisodeContext` has it. It may be hostile: it is refused if it makes
                MuJoCo read anything but robosuite's assets.

        Raises:
            SimulationError: it cannot be loaded, or is of another task or robot. The environment
                can then load another model, and nothing else.
        """
        what = f"the stored model is none of {self._what}"
        joints = joint_names(model_file)
        if joints != self._joint_names:
            differing = sorted(set(joints) ^ set(self._joint_names)) or ["their order"]
            raise SimulationError(f"{what}: the joints differ in {', '.join(differing)}")
        xml = loadable(model_file, self._assets)
        self._close_renderer()
        try:
            with (
                _numpy_seeded(_MODEL_SEED),
                _references_renewed(self._env),
                _warnings_kept() as warned,
            ):
                self._env.reset_from_xml_string(xml)
            self._stepping = _stepping_of(self._env)
            if warned:
                raise ValueError(warned[0])
        except Exception as error:  # MuJoCo and robosuite raise what they come across
            raise SimulationError(f"{what}: {' '.join(str(error).split())}") from error
        self._make_renderer()
        self._model_file = portable(model_file)
        self._seed = None

    def load_state(self, state: Array) -> None:
        """Put the simulation where it was; what is then observed is what was observed there.

        Args:
            state: (S,) of the feature ``simulator_state``.

        Raises:
            SimulationError: it has another size, or numbers that no simulation has.
        """
        simulation = self._env.sim
        expected = self._features[SIMULATOR_STATE].shape
        if state.shape != expected:
            raise SimulationError(
                f"a state of {state.size} elements is none of {self._what}, which has {expected[0]}"
            )
        if not (np.abs(state) < _GREATEST_STATE).all():
            raise SimulationError("the state is not finite, or too large for a simulation")
        simulation.set_state_from_flattened(state)
        if simulation.data.time > 0:
            # A step of MuJoCo ends with moving the joints. Where the bodies are is computed at the
            # beginning of the next one: what was sensed then was one substep old, but the joints.
            _move(simulation, -self._env.model_timestep)
        with _warnings_kept():
            simulation.step1()
        simulation.set_state_from_flattened(state)
        self._env.cur_time = float(state[0])
        self._observed = self._env._get_observations(force_update=True)
        self._reward = float(self._env.reward(np.zeros(self._env.action_dim)))

    def begin_here(self) -> None:
        """Let the episode begin now, at time zero, as if the reset had led to this state.

        Controllers, grippers and the solver forget what came before, and arms keep to the pose that
        they begin in: so this state and the actions that follow are enough to repeat the episode.
        """
        env = self._env
        state = env.sim.get_state()
        state.time = 0.0
        env.deterministic_reset = True
        try:
            with _numpy_seeded(_MODEL_SEED):
                env.reset()
        finally:
            env.deterministic_reset = False
        env.sim.set_state(state)
        env.sim.forward()
        for robot in env.robots:
            for controller in robot.composite_controller.part_controllers.values():
                controller.update_initial_joints(env.sim.data.qpos[controller.qpos_index])
        self._stepping = _stepping_of(env)
        self._observed = env._get_observations(force_update=True)
        self._reward = None

    def close(self) -> None:
        self._close_renderer()
        self._env.close()

    @property
    def _what(self) -> str:
        simulator = self._task.simulator
        return f"{simulator.environment} with a {' and a '.join(simulator.robots)}"

    def _make_renderer(self) -> None:
        cameras = self._task.cameras
        if cameras.names:
            model = self._env.sim.model._model
            self._renderer = CameraRenderer(model, cameras.names, cameras.height, cameras.width)

    def _close_renderer(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _reset(self, seed: int) -> dict[str, Any]:
        with _numpy_seeded(seed):
            observed: dict[str, Any] = self._env.reset()
        self._stepping = _stepping_of(self._env)
        return observed

    def _describe_features(self) -> dict[str, Feature]:
        observation = self._task.observation
        for name in (*observation.state, *observation.objects):
            _require_known("observable", name, self._observed)
        features = {
            f"{STATE}.{name}": Feature(
                "float32", self._observed[name].shape, self._element_names(name)
            )
            for name in observation.state
        }
        objects = tuple(
            element for name in observation.objects for element in self._element_names(name)
        )
        features[ENVIRONMENT_STATE] = Feature("float32", (len(objects),), objects)
        features[SIMULATOR_STATE] = Feature("float64", self._env.sim.get_state().flatten().shape)
        for camera in self._task.cameras.names:
            features[f"{IMAGES}.{camera}"] = Feature(
                "uint8", (self._task.cameras.height, self._task.cameras.width, 3)
            )
        return features

    def _element_names(self, observable: str) -> tuple[str, ...]:
        size = np.size(self._observed[observable])
        if observable.endswith("quat"):
            suffixes = ["qx", "qy", "qz", "qw"]
        elif observable.endswith("pos") and size == 3:
            suffixes = ["x", "y", "z"]
        else:
            suffixes = [str(index) for index in range(size)]
        return tuple(f"{observable}.{suffix}" for suffix in suffixes)


def _stepping_of(env: Any) -> Stepping:
    # Imported with robosuite, whose extra brings its compiler.
    from robolearn.environments.fast_stepping import stepping_of

    return stepping_of(env)


def _move(simulation: Any, seconds: float) -> None:
    """Move all joints with their velocities for that time."""
    import mujoco

    mujoco.mj_integratePos(
        simulation.model._model, simulation.data.qpos, simulation.data.qvel, seconds
    )


@contextlib.contextmanager
def _warnings_kept() -> Iterator[list[str]]:
    """What MuJoCo warns of, which it would write into a file in the working folder."""
    import mujoco

    before = mujoco.get_mju_user_warning()
    warned: list[str] = []
    mujoco.set_mju_user_warning(warned.append)
    try:
        yield warned
    finally:
        mujoco.set_mju_user_warning(before)


@contextlib.contextmanager
def _references_renewed(env: Any) -> Iterator[None]:
    """Let robosuite's sensors refer to the model that is loaded meanwhile, not to the one before.

    robosuite does so only where it builds a new model for each episode.
    """
    hard_reset = env.hard_reset
    env.hard_reset = True
    try:
        yield
    finally:
        env.hard_reset = hard_reset
        env.deterministic_reset = False  # robosuite leaves it on where the model does not load


def _require_known(kind: str, name: str, known: Any) -> None:
    if name not in known:
        raise SimulationError(f"unknown {kind} {name!r}; robosuite has {', '.join(sorted(known))}")


@contextlib.contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """robosuite draws from NumPy's global generator; leave it as it was found."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
