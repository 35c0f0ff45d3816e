"""Recorded states played back in the simulator, to fill in what was not recorded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robolearn.control.recorded_task import require_same_task
from robolearn.environments.randomization import (
    RANDOMIZATION,
    Drawn,
    Randomization,
    recorded_world,
)
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import SimTask
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ACTION, SIMULATOR_STATE
from robolearn.episodes.formats.model_file import portable
from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.episodes.images import StoredSequence
from robolearn.errors import SimulationError

NOTE = "observations played back from the recorded states"
"""Added to the notes of an episode that was played back."""


class Playback:
    """Plays episodes back that hold states of a simulator, with the models they were recorded in.

    Each frame's state is put into the simulator, and what is observed there takes the place of
    what the episode had: the task's observables, its cameras' images, reward and success. They are
    what the environment would have observed live, to float32 rounding. Actions are as they were.
    What was randomised in the recording is so here, and nothing else, whatever the task says.

    The state after the last step is not among the recorded ones. Whether the task was accomplished
    then is taken from the recording, where it says so, and otherwise from the last frame; its
    reward is that of the last frame.

    Args:
        task: that was recorded, with the observables and cameras wanted.

    Attributes:
        left_out: features of the recordings that the task does not have, in words.

    Raises:
        MissingDependency: robosuite is not installed, or cameras need a GL library.
        SimulationError: robosuite cannot make the task.
    """

    def __init__(self, task: SimTask) -> None:
        self._environment = RobosuiteEnvironment(replace(task, randomization=Randomization()))
        self._own = self._environment.context
        self._loaded: tuple[str | None, Drawn | None] = (self._own.model_file, None)
        self.left_out: set[str] = set()

    def episode(self, recorded: Episode) -> Episode:
        """The episode with observations.

        Args:
            recorded: with the feature ``simulator_state``.

        Returns:
            (T, ...) by the task's features. Its images are rendered when they are read, which must
            be before `close`. Times are kept if the recording's rate is the task's, and otherwise
            counted. Who drove and all labels are kept.

        Raises:
            SimulationError: it has no states or no model, or they are of another task, robot,
                controller or rate, or damaged, or hostile.
        """
        states = recorded.observations.get(SIMULATOR_STATE)
        model_file = recorded.context.model_file
        if states is None or model_file is None:
            missing = "states of a simulator" if states is None else "model that its states are of"
            raise SimulationError(f"it cannot be played back: it has no {missing}")
        context = self._context(recorded)
        drawn = recorded_world(recorded.context.env_args, recorded.context.seed)
        scenes = _Scenes(self, model_file, drawn, states)
        frames = [scenes.show(frame) for frame in range(len(recorded))]
        # A step's reward and success are those of the frame after it.
        after = [*range(1, len(frames)), len(frames) - 1]
        success = np.array([frames[frame].success for frame in after])
        known = recorded.outcome.success is not None
        if known:
            success[-1] = recorded.success[-1]
        return replace(
            recorded,
            context=context,
            observations={
                name: np.stack([frame.vectors[name] for frame in frames])
                for name, feature in context.features.items()
                if not feature.is_image
            },
            images={
                name: _Rendered(scenes, name, feature.shape)
                for name, feature in context.features.items()
                if feature.is_image
            },
            lost_images={},
            rewards=np.array([frames[frame].reward for frame in after], np.float32),
            success=success,
            **self._times(recorded),
            outcome=recorded.outcome
            if known
            else replace(
                recorded.outcome, success=bool(success.any()), success_at_end=bool(success[-1])
            ),
            notes="; ".join(filter(None, (recorded.notes, NOTE))),
        )

    def close(self) -> None:
        """Free the simulator. May be called twice."""
        self._environment.close()

    def show(self, model_file: str, drawn: Drawn | None, state: Array) -> RobosuiteEnvironment:
        """The environment in a recorded state.

        Raises:
            SimulationError: the state or its model is none of the task's.
        """
        if (model_file, drawn) != self._loaded:
            self._loaded = (None, None)
            self._environment.load_model(model_file, drawn)
            self._loaded = (model_file, drawn)
        self._environment.load_state(state)
        return self._environment

    def _context(self, recorded: Episode) -> EpisodeContext:
        own, context = self._own, recorded.context
        require_same_task(recorded, own)
        for name in context.features.keys() - own.features.keys():
            self.left_out.add(f"{name}, which is not played back")
        randomized = context.env_args.get(RANDOMIZATION)
        named = context.task not in {"", context.env_args.get("env_name")}
        return replace(
            own,
            env_args={**own.env_args, **({RANDOMIZATION: randomized} if randomized else {})},
            action=replace(own.action, dtype=context.action.dtype),
            task=context.task if named else own.task,
            model_file=portable(context.model_file or ""),
            seed=context.seed,
        )

    def _times(self, recorded: Episode) -> dict[str, Any]:
        names = (*self._own.features, ACTION)
        if recorded.context.rate != self._own.rate:
            time = np.arange(len(recorded)) / self._own.rate
            return {"time": time, "timestamps": dict.fromkeys(names, time)}
        known = recorded.timestamps
        sensed = known.get(SIMULATOR_STATE, recorded.time)
        return {"timestamps": {name: known.get(name, sensed) for name in names}}


@dataclass(frozen=True)
class _Frame:
    """What is observed in one state, without images."""

    vectors: dict[str, Array]
    reward: float
    success: bool


@dataclass(frozen=True)
class _Scenes:
    """The states of one episode, to be shown one at a time."""

    playback: Playback
    model_file: str
    drawn: Drawn | None
    states: Array

    def show(self, frame: int) -> _Frame:
        """What is observed in a frame's state.

        Raises:
            SimulationError: names the frame.
        """
        environment = self._environment(frame)
        return _Frame(environment.vectors(), environment.reward or 0.0, environment.success)

    def image(self, frame: int, name: str) -> Array:
        """(H, W, C) of one camera, by its feature's name."""
        return self._environment(frame).image(name)

    def _environment(self, frame: int) -> RobosuiteEnvironment:
        try:
            return self.playback.show(self.model_file, self.drawn, self.states[frame])
        except SimulationError as error:
            raise SimulationError(f"frame {frame}: {error}") from error


class _Rendered(StoredSequence):
    """(T, H, W, C) images of one camera, rendered when they are asked for."""

    def __init__(self, scenes: _Scenes, name: str, frame_shape: tuple[int, ...]) -> None:
        super().__init__((len(scenes.states), *frame_shape))
        self._scenes = scenes
        self._name = name

    def _read(self, first: int, stop: int) -> Array:
        images = np.empty((stop - first, *self.shape[1:]), np.uint8)
        for place, frame in enumerate(range(first, stop)):
            images[place] = self._scenes.image(frame, self._name)
        return images
