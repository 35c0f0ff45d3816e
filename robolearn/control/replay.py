"""Recorded actions done again in the simulator, and what comes out compared with the recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robolearn.control.recorded_task import require_same_task
from robolearn.environments.randomization import Randomization, recorded_world
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import SimTask
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import SIMULATOR_STATE
from robolearn.episodes.frames import Array, Observation
from robolearn.errors import SimulationError

REWARD, SUCCESS = "reward", "success"
"""What they are called among the features that are compared."""


@dataclass(frozen=True)
class Difference:
    """How far one number is from the recorded one.

    Attributes:
        size: absolute, in the feature's unit; infinite where one of both is no finite number.
        feature: by its name; ``reward`` and ``success`` are those of the frame's step.
        element: its name, or its place in the feature.
        frame: where.
    """

    size: float
    feature: str
    element: str
    frame: int

    def __str__(self) -> str:
        what = self.feature + (f" ({self.element})" if self.element else "")
        return f"{self.size:.3g} in {what}, frame {self.frame}"

    def to_json(self) -> dict[str, Any]:
        """All of it, for machines; an infinite size is null."""
        return vars(self) | {"size": self.size if np.isfinite(self.size) else None}


@dataclass(frozen=True)
class Comparison:
    """How an episode that was replayed differs from its recording.

    Attributes:
        frames: T.
        largest: difference; None where all is the same to the last bit.
        first: the largest one of the first frame in which there is any above the tolerance; None
            where there is no such frame.
        compared: names of the features, ``reward`` and ``success``.
        own_model: it was simulated in the task's own model. A model that another version or another
            task made is compiled from its text, which has six digits of each number.
    """

    frames: int
    largest: Difference | None
    first: Difference | None
    compared: tuple[str, ...]
    own_model: bool


class Replay:
    """Replays episodes: does the actions again that were sent, from where the episode began.

    On the machine that recorded it all of an episode is the same again, to the last bit. On another
    one the last bits may differ, by its processor and its mathematical library, and wherever
    something touches something a last bit decides a good deal.

    Images are not compared: they follow from the states, and each driver draws them a little
    differently.

    Args:
        task: that was recorded.
        from_seed: begin with the recorded seed in the task's own model, instead of with the
            recorded state in the recorded model.
        tolerance: above which a difference is one, in each feature's own unit.

    Attributes:
        left_out: features of the recordings that are not compared, in words.

    Raises:
        MissingDependency: robosuite is not installed.
        SimulationError: robosuite cannot make the task.
    """

    def __init__(self, task: SimTask, *, from_seed: bool, tolerance: float) -> None:
        self._task = replace(task, randomization=Randomization())
        self._environment = RobosuiteEnvironment(self._task)
        self._own = self._environment.context
        self._from_seed = from_seed
        self._tolerance = tolerance
        self.left_out: set[str] = set()

    def episode(self, recorded: Episode) -> Comparison:
        """Replay one episode.

        Raises:
            SimulationError: it does not say how it began, or was cut, or another program recorded
                it; it is of another task, robot, controller or rate; its model, states or actions
                are damaged.
        """
        if not len(recorded):
            raise SimulationError("it has no frames")
        require_same_task(recorded, self._own)
        broken = np.flatnonzero(~np.isfinite(recorded.actions).all(1))
        if broken.size:
            raise SimulationError(f"frame {broken[0]}: its action is not finite")
        states = recorded.observations.get(SIMULATOR_STATE)
        began = float(recorded.time[0] if states is None else states[0, 0])
        if abs(began) > 0:
            raise SimulationError(
                f"it begins {began:g} s after a reset, as a part of a longer episode: what the "
                "controllers knew then is not recorded"
            )
        self._begin(recorded, states)
        recording = self._comparable(recorded)
        found: dict[str, list[Array]] = {name: [] for name in recording}
        before = self._environment.observe()
        for frame, action in enumerate(recorded.actions):
            if before.failed:
                raise SimulationError(f"frame {frame}: the simulation became unstable before it")
            self._environment.act(action)
            after = self._environment.observe()
            for name, value in _kept(before, after).items():
                if name in found:
                    found[name].append(value)
            before = after
        return self._compared(recording, found)

    def close(self) -> None:
        """Free the simulator. May be called twice."""
        self._environment.close()

    def _begin(self, recorded: Episode, states: Array | None) -> None:
        context = recorded.context
        drawn = recorded_world(context.env_args, context.seed)
        if self._from_seed:
            if context.seed is None:
                raise SimulationError("it does not say which seed it began with")
            if recorded.agent == "reverse":
                raise SimulationError(
                    "the arm had placed its object before it began: no reset does"
                )
            self._randomize(drawn.randomization if drawn else Randomization())
            self._environment.reset(context.seed)
            return
        if states is None or context.model_file is None:
            missing = "model that its states are of" if states is not None else "simulator states"
            raise SimulationError(f"it has no {missing}: where it began is not known")
        if context.seed is None:
            # robosuite's collector puts the state into the simulator after the controllers have
            # looked at another one, which decides their first torques.
            raise SimulationError(
                "another program than robolearn recorded it, as it has no seed: its controllers "
                "began otherwise, and the same actions do something else; convert --replay plays "
                "its states back"
            )
        self._environment.load_model(context.model_file, drawn)
        self._environment.reset_to(states[0])

    def _randomize(self, randomization: Randomization) -> None:
        """Have an environment that draws its worlds as the recorded one did."""
        if randomization != self._task.randomization:
            self._environment.close()
            self._task = replace(self._task, randomization=randomization)
            self._environment = RobosuiteEnvironment(self._task)

    def _comparable(self, recorded: Episode) -> dict[str, Array]:
        """(T, ...) what was recorded and comes out here, too."""
        own = self._own.features
        found: dict[str, Array] = {}
        for name, values in recorded.observations.items():
            if name in own and own[name].shape == values.shape[1:]:
                found[name] = values
            else:
                self.left_out.add(f"{name}, which the task does not observe in this form")
        for name in recorded.images:
            self.left_out.add(f"{name}, as images are drawn from the states")
        # States and actions alone, as robosuite collects them, come without a reward for each step.
        if recorded.outcome.success is not None and found.keys() - {SIMULATOR_STATE}:
            found[REWARD] = recorded.rewards[:, None]
            found[SUCCESS] = recorded.success[:, None]
        return found

    def _compared(
        self, recording: Mapping[str, Array], found: Mapping[str, list[Array]]
    ) -> Comparison:
        largest: Difference | None = None
        first: Difference | None = None
        frames = 0
        for name, expected in recording.items():
            frames = len(expected)
            sizes = _distances(expected, np.array(found[name], expected.dtype))
            if not sizes.any():
                continue
            frame, element = np.unravel_index(sizes.argmax(), sizes.shape)
            difference = self._difference(sizes, name, int(frame), int(element))
            if largest is None or difference.size > largest.size:
                largest = difference
            above = np.flatnonzero((sizes > self._tolerance).any(1))
            if above.size:
                begins = int(above[0])
                difference = self._difference(sizes, name, begins, int(sizes[begins].argmax()))
                if first is None or (begins, -difference.size) < (first.frame, -first.size):
                    first = difference
        own_model = self._environment.has_own_model
        return Comparison(frames, largest, first, tuple(recording), own_model)

    def _difference(self, sizes: Array, name: str, frame: int, element: int) -> Difference:
        size = float(sizes[frame, element])
        return Difference(size, name, self._element(name, element), frame)

    def _element(self, name: str, element: int) -> str:
        if name in {REWARD, SUCCESS}:
            return ""
        if name == SIMULATOR_STATE:
            return self._environment.state_names[element]
        names = self._own.features[name].names
        return names[element] if names else str(element)


def _kept(before: Observation, after: Observation) -> dict[str, Array]:
    """What a recorder would keep of a step."""
    return {
        **before.values,
        REWARD: np.array([after.reward]),
        SUCCESS: np.array([after.success]),
    }


def _distances(expected: Array, found: Array) -> Array:
    """(T, E) absolute differences; infinite where one is not finite and they are not the same."""
    one = expected.reshape(len(expected), -1).astype(np.float64)
    other = found.reshape(len(found), -1).astype(np.float64)
    with np.errstate(invalid="ignore"):
        sizes = np.abs(one - other)
    sizes[~np.isfinite(sizes)] = np.inf
    sizes[one == other] = 0.0
    return sizes
