"""Environments that are registered with Gymnasium."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from robolearn.environments.environment import Environment
from robolearn.environments.gymnasium_task import GYMNASIUM_TYPE, GymnasiumTask
from robolearn.episodes.features import IMAGES, STATE, ActionFeature, Feature
from robolearn.episodes.frames import Array, EpisodeContext, Observation
from robolearn.errors import MissingDependency, SimulationError

CAMERA = "render"
"""What Gymnasium renders, as a camera."""

_UNKNOWN_RATE = 1.0
"""Steps a second of an environment that names no rate."""


class GymnasiumEnvironment(Environment):
    """One Gymnasium environment in this process.

    Observations that are vectors, or can be laid out as one as Gymnasium's ``flatten`` does
    (discrete ones become one-hot), are float32 features: ``observation.state``, or
    ``observation.state.<key>`` for each key of a dictionary. Images are
    ``observation.images.<key>``, and what ``render`` gives is ``observation.images.render``.
    Discrete actions are whole numbers, int64.

    The task's horizon takes the place of the environment's registered limit of time; one that
    counts steps itself still truncates its episodes. An episode with a reward or an observation
    that is not finite has failed.

    Args:
        task: a registered environment.

    Raises:
        MissingDependency: a package that the environment needs is not installed.
        SimulationError: Gymnasium knows no such environment, it cannot be made, its spaces are of a
            kind that has no features, or it has neither a horizon nor was it given one.
    """

    def __init__(self, task: GymnasiumTask) -> None:
        self._task = task
        self._seed: int | None = None
        self._reward: float | None
        self._success: bool | None
        self._terminated: bool
        self._truncated: bool
        self._failed: bool
        self._steps: int
        self._env = _make(task)
        try:
            self._describe()
            self._begin(seed=0)
        except BaseException:
            self.close()
            raise

    @property
    def context(self) -> EpisodeContext:
        registered = self._task.gymnasium
        return EpisodeContext(
            features=self._features,
            action=self._action,
            task=self._task.text,
            rate=self._rate,
            env_args={
                "env_name": registered.id,
                "env_version": gymnasium.__version__,
                "type": GYMNASIUM_TYPE,
                "env_kwargs": registered.options,
            },
            seed=self._seed,
        )

    @property
    def horizon(self) -> int:
        return self._horizon

    @property
    def solved_return(self) -> float | None:
        """Return at which the registered task counts as solved, where Gymnasium says so."""
        threshold: float | None = _spec(self._task).reward_threshold
        return threshold

    def reset(self, seed: int) -> None:
        self._begin(seed)
        self._seed = seed

    def observe(self) -> Observation:
        now = time.monotonic()
        values = {
            name: self._features[name].as_frame(value)
            for name, value in _observed(self._env.observation_space, self._latest)
        }
        timestamps = dict.fromkeys(values, now)
        for camera in self._task.cameras.names:
            name = f"{IMAGES}.{camera}"
            values[name] = self._picture()
            timestamps[name] = time.monotonic()
        return Observation(
            values=values,
            timestamps=timestamps,
            time=self._steps / self._rate,
            reward=self._reward,
            success=self._success,
            terminated=self._terminated,
            truncated=self._truncated,
            failed=self._failed,
        )

    def act(self, action: Array) -> Array:
        if self._terminated or self._truncated or self._failed:
            raise ValueError("the episode is over; reset the environment first")
        sent = self._action.limited(action)
        with self._blamed():
            latest, reward, terminated, truncated, info = self._env.step(
                _to_gymnasium(self._env.action_space, sent)
            )
            self._reward = float(reward)
            self._failed = not (np.isfinite(self._reward) and self._is_finite(latest))
        self._steps += 1
        if self._failed:
            self._reward, self._success = 0.0, False
            return sent
        self._latest = latest
        self._success = _success(info)
        self._terminated, self._truncated = bool(terminated), bool(truncated)
        return sent

    def close(self) -> None:
        self._env.close()

    def _describe(self) -> None:
        """Find out what is observed, how it is driven, and for how long."""
        registered, cameras = self._task.gymnasium, self._task.cameras
        limit = _spec(self._task).max_episode_steps
        horizon = registered.horizon or limit
        if horizon is None:
            raise SimulationError(
                f"{registered.id} has no limit of time: write a task file with horizon = … in "
                "[gymnasium], as sim/cartpole.toml has it"
            )
        self._horizon = horizon
        rate = registered.rate or self._env.metadata.get("render_fps")
        self._rate = float(rate or _UNKNOWN_RATE)
        self._features: dict[str, Feature] = {}
        for name, feature in _observation_features(self._env.observation_space, registered.id):
            if name in self._features:
                raise SimulationError(f"{registered.id} observes {name} twice")
            self._features[name] = feature
        for name in cameras.names:
            if name != CAMERA:
                raise SimulationError(
                    f"there is no camera {name!r}; a Gymnasium environment has {CAMERA}"
                )
            self._features[f"{IMAGES}.{CAMERA}"] = Feature(
                "uint8", (cameras.height, cameras.width, 3)
            )
        self._action = _action_feature(self._env.action_space, registered.id)

    def _begin(self, seed: int) -> None:
        with self._blamed():
            self._latest, info = self._env.reset(seed=seed)
            if not self._is_finite(self._latest):
                raise ValueError("what it observes after its reset is not finite")
        self._steps = 0
        self._reward = None
        self._success = _success(info)
        self._terminated = self._truncated = self._failed = False

    def _is_finite(self, observed: Any) -> bool:
        values = _observed(self._env.observation_space, observed)
        return all(np.isfinite(value).all() for _, value in values)

    @contextlib.contextmanager
    def _blamed(self) -> Iterator[None]:
        """Say which environment it was that raised."""
        try:
            yield
        except Exception as error:  # environments raise what they like
            raise SimulationError(
                f"{self._task.gymnasium.id} raised {type(error).__name__}: "
                f"{' '.join(str(error).split())}"
            ) from error

    def _picture(self) -> Array:
        """(height, width, 3) uint8."""
        from PIL import Image

        try:
            rendered = self._env.render()
        except gymnasium.error.DependencyNotInstalled as error:
            raise MissingDependency(f"rendering {self._task.gymnasium.id}: {error}") from error
        if not isinstance(rendered, np.ndarray) or rendered.ndim != 3:
            raise SimulationError(f"{self._task.gymnasium.id} does not render pictures")
        cameras = self._task.cameras
        picture = Image.fromarray(rendered[..., :3].astype(np.uint8))
        size = (cameras.width, cameras.height)
        return np.asarray(picture.resize(size, Image.Resampling.BOX), np.uint8)


def _make(task: GymnasiumTask) -> gymnasium.Env[Any, Any]:
    registered = task.gymnasium
    rendered = {"render_mode": "rgb_array"} if task.cameras.names else {}
    try:
        return gymnasium.make(
            _with_module(registered.id),
            max_episode_steps=-1,  # time is up when the loop says so
            disable_env_checker=True,
            **rendered,
            **registered.options,
        )
    except gymnasium.error.DependencyNotInstalled as error:
        raise MissingDependency(f"{registered.id}: {error}") from error
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"{registered.id} needs a package that is not installed: {error}"
        ) from error
    except Exception as error:  # environments raise what they like when they are made
        raise SimulationError(
            f"Gymnasium cannot make {registered.id}: {' '.join(str(error).split())}"
        ) from error


def _spec(task: GymnasiumTask) -> EnvSpec:
    return gymnasium.spec(task.gymnasium.id.rpartition(":")[2])


def _with_module(registered: str) -> str:
    """The id with the module that registers it, where that has the name of the namespace."""
    namespace, slash, _ = registered.partition("/")
    known = {spec.namespace for spec in gymnasium.registry.values()}
    if not slash or ":" in namespace or namespace in known:
        return registered
    return f"{namespace}:{registered}"


type Space = spaces.Space[Any]


def _is_image(space: Space) -> bool:
    return (
        isinstance(space, spaces.Box)
        and space.dtype == np.uint8
        and len(space.shape) == 3
        and space.shape[-1] in {1, 3, 4}
    )


def _leaves(space: Space, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Space]]:
    """What a dictionary of spaces holds, with the keys that lead there."""
    if isinstance(space, spaces.Dict):
        for key, inner in space.items():
            yield from _leaves(inner, (*path, str(key)))
    else:
        yield path, space


def _name(path: tuple[str, ...], space: Space) -> str:
    if _is_image(space):
        return ".".join((IMAGES, *(path or ("observation",))))
    return ".".join((STATE, *path))


def _observation_features(space: Space, registered: str) -> Iterator[tuple[str, Feature]]:
    for path, leaf in _leaves(space):
        if _is_image(leaf):
            yield _name(path, leaf), Feature("uint8", tuple(leaf.shape or ()))
            continue
        flat: Space = spaces.flatten_space(leaf) if leaf.is_np_flattenable else leaf
        if not isinstance(flat, spaces.Box) or not flat.shape[0]:
            raise SimulationError(f"{registered} observes {leaf}, which is no vector and no image")
        yield _name(path, leaf), Feature("float32", flat.shape)


def _observed(space: Space, value: Any) -> Iterator[tuple[str, Array]]:
    for path, leaf in _leaves(space):
        inner = value
        for key in path:
            inner = inner[key]
        vector_or_image: Any = inner if _is_image(leaf) else spaces.flatten(leaf, inner)
        yield _name(path, leaf), vector_or_image


def _action_feature(space: Space, registered: str) -> ActionFeature:
    low, high, dtype = _range(space)
    if not len(low) or not (np.isfinite(low) & np.isfinite(high) & (low < high)).all():
        raise SimulationError(
            f"{registered} is driven by {space}: only numbers within finite ranges, and discrete "
            "actions, can be recorded and learnt"
        )
    return ActionFeature(
        dtype=dtype,
        shape=low.shape,
        names=tuple(f"action_{index}" for index in range(1, len(low) + 1)),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
    )


def _range(space: Space) -> tuple[Array, Array, str]:
    """(A,) least and greatest values, and their element type; empty for other kinds of spaces."""
    low: Array
    high: Array
    match space:
        case spaces.Box():
            whole = np.issubdtype(space.dtype, np.integer)
            low, high = np.ravel(space.low), np.ravel(space.high)
            return low.astype(np.float64), high.astype(np.float64), "int64" if whole else "float32"
        case spaces.Discrete():
            low = np.array([float(space.start)])
            return low, low + float(space.n) - 1, "int64"
        case spaces.MultiDiscrete():
            low = np.ravel(space.start).astype(np.float64)
            return low, low + np.ravel(space.nvec) - 1, "int64"
        case spaces.MultiBinary():
            low = np.zeros(int(np.prod(space.shape)))
            return low, low + 1, "int64"
        case _:
            return np.empty(0), np.empty(0), "float32"


def _to_gymnasium(space: Space, action: Array) -> Any:
    if isinstance(space, spaces.Discrete):
        return space.dtype.type(action[0])
    shaped: Any = action.reshape(space.shape or ()).astype(space.dtype)
    # In single precision a limit may be rounded up.
    return np.clip(shaped, space.low, space.high) if isinstance(space, spaces.Box) else shaped


def _success(info: Mapping[str, Any]) -> bool | None:
    """What the environment says of it, by the names that are in use."""
    for name in ("is_success", "success"):
        if name in info:
            return bool(np.all(info[name]))
    return None
