"""robosuite's tasks as environments."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robolearn.environments.borrowed import nothing_drawn, numpy_seeded, warnings_kept
from robolearn.environments.environment import Environment
from robolearn.environments.observables import Observables
from robolearn.environments.randomization import Drawn
from robolearn.environments.rendering import require_gl
from robolearn.environments.robosuite_arguments import action_feature, env_args
from robolearn.environments.robosuite_import import import_robosuite
from robolearn.environments.simulated_model import state_names
from robolearn.environments.simulated_world import MODEL_SEED, SimulatedWorld
from robolearn.environments.task import SimTask
from robolearn.episodes.features import (
    DEPTH,
    ENVIRONMENT_STATE,
    IMAGES,
    SIMULATOR_STATE,
    STATE,
    Feature,
)
from robolearn.episodes.frames import Array, EpisodeContext, Observation
from robolearn.errors import SimulationError

if TYPE_CHECKING:
    from robolearn.environments.fast_stepping import Stepping

GREATEST_SEED = 2**32 - 1

_GREATEST_STATE = 1e10
"""MuJoCo resets a simulation with a position or velocity beyond."""


class RobosuiteEnvironment(Environment):
    """One robosuite task in this process. Once closed, it raises SimulationError.

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
            with numpy_seeded(MODEL_SEED):
                env = robosuite.make(
                    **self._env_args["env_kwargs"] | {"env_name": simulator.environment}
                )
        except Exception as error:
            raise SimulationError(
                f"robosuite cannot make {simulator.environment}: {error}"
            ) from error
        assets = Path(robosuite.__file__).parent / "models" / "assets"
        with contextlib.ExitStack() as made:
            made.callback(env.close)
            self._world = SimulatedWorld(env, task.cameras, assets)
            made.callback(self._world.close)
            self._reset(seed=0)
            self._observables = self._asked_for()
            self._success: bool | None = None
            self._remember_success()
            self._sense()
            self._features = self._describe_features()
            self._action = action_feature(env, task)
            self._made = made.pop_all()
        self._seed: int | None = None
        self._reward: float | None = None
        self._failed = False

    @property
    def context(self) -> EpisodeContext:
        return EpisodeContext(
            features=self._features,
            action=self._action,
            task=self._task.text,
            rate=self._task.simulator.rate,
            env_args=self._env_args,
            model_file=self._world.text,
            seed=self._seed,
        )

    @property
    def horizon(self) -> int:
        return self._task.simulator.horizon

    def reset(self, seed: int) -> None:
        if not 0 <= seed <= GREATEST_SEED:
            raise SimulationError(f"robosuite takes seeds from 0 to {GREATEST_SEED}, not {seed}")
        self._seed = seed
        self._reset(seed)
        self._sense()
        self._reward = None
        self._failed = False

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
            success=self.success and not self._failed,
            failed=self._failed,
        )

    def vectors(self) -> dict[str, Array]:
        """What is observed now and is no image of colours, by feature name."""
        raw = self._observed
        values: dict[str, Array] = {
            f"{STATE}.{name}": self._features[f"{STATE}.{name}"].as_frame(raw[name])
            for name in self._task.observation.state
        }
        values[ENVIRONMENT_STATE] = self._features[ENVIRONMENT_STATE].as_frame(
            np.concatenate([np.ravel(raw[name]) for name in self._task.observation.objects])
        )
        values[SIMULATOR_STATE] = self._env.sim.get_state().flatten()
        for camera in self._cameras_of_depth:
            values[f"{IMAGES}.{camera}{DEPTH}"] = self._world.depth(camera)
        return values

    def image(self, name: str) -> Array:
        """(height, width, 3) uint8 what one of the task's cameras sees now.

        Args:
            name: of its feature.

        Raises:
            SimulationError: the task has no such camera.
        """
        return self._world.image(name.removeprefix(f"{IMAGES}."))

    @property
    def reward(self) -> float | None:
        """Of the step that led here; None after a reset."""
        return self._reward

    @property
    def success(self) -> bool:
        """Whether the task is accomplished now."""
        return bool(self._env._check_success()) if self._success is None else self._success

    def act(self, action: Array) -> Array:
        sent = self._action.limited(action)
        if self._failed:
            raise ValueError("the simulation became unstable; reset the environment first")
        self._success = None
        before = self._env.sim.get_state()
        with warnings_kept():
            self._reward = float(self._stepping.step(sent.astype(np.float64)))
        if any(alarm.number for alarm in self._alarms):
            self._break_off(before)
            return sent
        # Sensed now: what robosuite's own step returns is as old as a whole step at rates that its
        # substeps do not divide.
        self._observed = self._observables.read()
        return sent

    def _break_off(self, sound: Any) -> None:
        """End an episode whose simulation became unstable, where it was before.

        MuJoCo has put the joints where they are in a new simulation, which would be taken for
        motion.
        """
        self._failed = True
        self._reward = 0.0
        self._env.sim.set_state(sound)
        self._env.sim.forward()

    def load_model(self, model_file: str, drawn: Drawn | None = None) -> None:
        """Simulate a stored model of this task, with its sizes and places, instead of the own one.

        Args:
            model_file: as `EpisodeContext` has it. It may be hostile: it is refused if it makes
                MuJoCo read anything but robosuite's assets.
            drawn: what it was recorded in, if that was randomised. If this task's own model becomes
                the stored one so, it is used, to the last bit; otherwise the text is read, which
                has six digits of most numbers. Textures stand in no text: they are drawn again.

        Raises:
            SimulationError: it cannot be loaded, or is of another task or robot. The environment
                can then load another model, and nothing else.
        """
        self._seed = None
        try:
            self._world.load(model_file, drawn)
        except SimulationError as error:
            raise SimulationError(f"the stored model is none of {self._what}: {error}") from error
        self._get_ready()

    def reset_to(self, state: Array) -> None:
        """Begin an episode in the state that a recorded one began in, in the model loaded.

        The steps that follow are those that followed there, for the same actions: controllers and
        the solver remember nothing, as after `reset`, and arms keep to the pose that they begin in.

        Args:
            state: (S,) of the feature ``simulator_state``, as a reset left it.

        Raises:
            SimulationError: it has another size, or numbers that no simulation has.
        """
        self._require_state(state)
        env = self._env
        with nothing_drawn(env), numpy_seeded(MODEL_SEED):
            env.reset()
        simulation = env.sim
        simulation.set_state_from_flattened(state)
        simulation.forward()
        for robot in env.robots:
            for controller in robot.composite_controller.part_controllers.values():
                controller.update_initial_joints(simulation.data.qpos[controller.qpos_index])
        self._get_ready()
        self._sense()
        self._seed = None
        self._reward = None
        self._failed = False

    def load_state(self, state: Array) -> None:
        """Put the simulation where it was; what is then observed is what was observed there.

        Args:
            state: (S,) of the feature ``simulator_state``.

        Raises:
            SimulationError: it has another size, or numbers that no simulation has.
        """
        self._require_state(state)
        simulation = self._env.sim
        simulation.set_state_from_flattened(state)
        if simulation.data.time > 0:
            # A step of MuJoCo ends with moving the joints. Where the bodies are is computed at the
            # beginning of the next one: what was sensed then was one substep old, but the joints.
            _move(simulation, -self._env.model_timestep)
        with warnings_kept():
            simulation.step1()
        simulation.set_state_from_flattened(state)
        self._env.cur_time = float(state[0])
        self._failed = False
        for alarm in self._alarms:
            alarm.number = 0
        self._sense()
        self._reward = float(self._env.reward(np.zeros(self._env.action_dim)))

    @property
    def has_own_model(self) -> bool:
        """Whether the model is the task's own, with its bodies where they may be."""
        return self._world.is_own

    @property
    def state_names(self) -> list[str]:
        """(S,) what the elements of ``simulator_state`` are, in words."""
        return state_names(self._world.model)

    def begin_here(self) -> None:
        """Let the episode begin now, at time zero, as if the reset had led to this state."""
        seed = self._seed
        state = self._env.sim.get_state().flatten()
        state[0] = 0.0
        self.reset_to(state)
        self._seed = seed

    def close(self) -> None:
        self._made.close()

    def _require_state(self, state: Array) -> None:
        expected = self._features[SIMULATOR_STATE].shape
        if state.shape != expected:
            raise SimulationError(
                f"a state of {state.size} elements is none of {self._what}, which has {expected[0]}"
            )
        if not (np.abs(state) < _GREATEST_STATE).all():
            raise SimulationError("the state is not finite, or too large for a simulation")

    @property
    def _env(self) -> Any:
        return self._world.env

    @property
    def _what(self) -> str:
        simulator = self._task.simulator
        return f"{simulator.environment} with a {' and a '.join(simulator.robots)}"

    def _reset(self, seed: int) -> None:
        self._world.restore()
        if self._task.randomization:
            self._world.draw(Drawn(self._task.randomization, seed))
        with numpy_seeded(seed):
            self._env.reset()
        self._get_ready()

    def _get_ready(self) -> None:
        """Refer to the simulation as it is since the last reset."""
        self._stepping = _stepping_of(self._env)
        self._alarms = _alarms_of(self._env)

    def _sense(self) -> None:
        """Take in what the simulation is like now."""
        self._observed = self._observables.read()
        self._success = None

    def _remember_success(self) -> None:
        """Keep what is found out about success: most rewards ask for it, and so does `observe`."""
        check = self._env._check_success

        def checked() -> bool:
            found = bool(check())
            self._success = found
            return found

        self._env._check_success = checked

    def _asked_for(self) -> Observables:
        observation = self._task.observation
        names = (*observation.state, *observation.objects)
        known = [
            name
            for name, observable in self._env._observables.items()
            if observable.is_enabled() and observable.is_active()
        ]
        for name in names:
            _require_known("observable", name, known)
        return Observables(self._env, names)

    def _describe_features(self) -> dict[str, Feature]:
        observation = self._task.observation
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
        size = self._task.cameras.height, self._task.cameras.width
        for camera in self._task.cameras.names:
            features[f"{IMAGES}.{camera}"] = Feature("uint8", (*size, 3))
        for camera in self._cameras_of_depth:
            features[f"{IMAGES}.{camera}{DEPTH}"] = Feature("float32", (*size, 1))
        return features

    @property
    def _cameras_of_depth(self) -> tuple[str, ...]:
        return self._task.cameras.names if self._task.cameras.depth else ()

    def _element_names(self, observable: str) -> tuple[str, ...]:
        size = np.size(self._observed[observable])
        if observable.endswith("quat"):
            suffixes = ["qx", "qy", "qz", "qw"]
        elif observable.endswith("pos") and size == 3:
            suffixes = ["x", "y", "z"]
        else:
            suffixes = [str(index) for index in range(size)]
        return tuple(f"{observable}.{suffix}" for suffix in suffixes)


def _alarms_of(env: Any) -> list[Any]:
    """MuJoCo's counts of numbers that were not finite, or too large, since the last reset."""
    import mujoco

    kinds = mujoco.mjtWarning
    unstable = (
        kinds.mjWARN_BADQPOS,
        kinds.mjWARN_BADQVEL,
        kinds.mjWARN_BADQACC,
        kinds.mjWARN_BADCTRL,
    )
    return [env.sim.data._data.warning[kind] for kind in unstable]


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


def _require_known(kind: str, name: str, known: Any) -> None:
    if name not in known:
        raise SimulationError(f"unknown {kind} {name!r}; robosuite has {', '.join(sorted(known))}")
