"""The folder that robosuite's ``DataCollectionWrapper`` collects demonstrations in.

::

    COLLECTION/
      ep_<seconds>_<fraction>/
        model.xml                          MJCF, with asset paths of the machine it was made on
        ep_meta.json                       what the task says of the episode, mostly nothing
        state_<seconds>_<fraction>.npz     every 100 steps: states, action_infos, successful, env

robosuite's ``gather_demonstrations_as_hdf5`` makes one file of it: it keeps the episodes that
succeeded, in the order in which the file system lists them. Here all are read, in the order of
their names, and say whether they succeeded. As there, the last state is left out: a state is stored
before the first action and after each, so that there is one more than actions.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from robolearn.episodes.dataset import Dataset, EpisodeSummary, is_valid
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ACTION, SIMULATOR_STATE, ActionFeature, Feature
from robolearn.episodes.formats.model_file import portable
from robolearn.episodes.formats.safe_npz import NpzFile
from robolearn.episodes.frames import Array, EpisodeContext, Outcome
from robolearn.errors import DatasetError

_AGENT = "unknown"
_MOST_TEXT = 64 << 20


class RobosuiteCollection(Dataset):
    """Reads a folder of ``ep_*/state_*.npz``.

    Its episodes have the feature ``simulator_state`` and actions; `robolearn.control.playback`
    plays the states back to fill in observations. An episode without a step is passed over.

    Raises:
        DatasetError: it has no episodes, or one is damaged; names the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        found = [_Recording(folder) for folder in sorted(path.glob("ep_*"))]
        self._recordings = [recording for recording in found if recording.steps]
        if not self._recordings:
            raise DatasetError(f"{path} is no dataset: it has no ep_*/state_*.npz with an action")

    def __len__(self) -> int:
        return len(self._recordings)

    @cached_property
    def summaries(self) -> Sequence[EpisodeSummary]:
        return [
            EpisodeSummary(
                number=number,
                frames=recording.steps,
                valid=is_valid(number),
                success=recording.success,
                task=recording.task,
                agent=_AGENT,
            )
            for number, recording in enumerate(self._recordings)
        ]

    @property
    def context(self) -> EpisodeContext:
        return self.episode(0).context

    def episode(self, index: int) -> Episode:
        return self._recordings[index].episode()


class _Recording:
    """One folder ``ep_*``.

    Args:
        folder: of the episode.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts = [_Part(path) for path in sorted(folder.glob("state_*.npz"))]

    @cached_property
    def steps(self) -> int:
        """How many actions were recorded."""
        return sum(part.steps for part in self._parts)

    @cached_property
    def success(self) -> bool:
        """Whether the task was accomplished at some step."""
        return any(part.success for part in self._parts)

    @cached_property
    def task(self) -> str:
        """In words, where the task has them: its name otherwise."""
        path = self._folder / "ep_meta.json"
        meta = None
        if path.exists():
            try:
                meta = json.loads(_text(path))
            except (ValueError, RecursionError) as error:
                raise DatasetError(f"{path} is no JSON: {error}") from error
        words = meta.get("lang") if isinstance(meta, dict) else None
        return words if isinstance(words, str) else self._parts[0].environment

    def episode(self) -> Episode:
        """All of it."""
        parts = [part for part in self._parts if part.steps]  # the last one may be empty
        states = _joined(self._folder, "states", [part.states() for part in parts])
        actions = _joined(self._folder, "actions", [part.actions() for part in parts])
        steps = len(actions)
        if len(states) != steps + 1 or states.ndim != 2 or not states.shape[1]:
            raise DatasetError(
                f"{self._folder}: {len(states)} states do not fit {steps} actions: "
                "one is stored before the first and after each"
            )
        seconds = np.diff(states[:, 0])
        if not (np.isfinite(seconds) & (seconds > 0)).all():
            raise DatasetError(f"{self._folder}: the time in its states does not go on")
        rate = round(1 / float(np.median(seconds)), 3)
        if not 0 < rate < math.inf:
            raise DatasetError(
                f"{self._folder}: its states are {np.median(seconds):g} s apart, which is no rate "
                "of an episode"
            )
        states = states[:-1]
        time = states[:, 0]
        # Whether it was accomplished is known of the episode only: at the latest, then, at its end.
        success = np.arange(steps) == (steps - 1 if self.success else -1)
        size = actions.shape[1]
        return Episode(
            context=EpisodeContext(
                features={SIMULATOR_STATE: Feature(states.dtype.name, states.shape[1:])},
                action=ActionFeature(
                    dtype=actions.dtype.name,
                    shape=(size,),
                    low=(-1.0,) * size,
                    high=(1.0,) * size,
                    gripper=(size - 1,),
                ),
                task=self.task,
                rate=rate,
                env_args={"env_name": self._parts[0].environment, "type": 1, "env_kwargs": {}},
                model_file=portable(_text(self._folder / "model.xml")),
            ),
            observations={SIMULATOR_STATE: states},
            actions=actions,
            actions_asked=actions,
            rewards=np.zeros(steps, np.float32),
            success=success,
            interventions=np.zeros(steps, bool),
            time=time,
            timestamps={SIMULATOR_STATE: time, ACTION: time},
            outcome=Outcome(steps, self.success, self.success, "horizon"),
            agent=_AGENT,
            recorded_at=self._recorded_at(),
        )

    def _recorded_at(self) -> str | None:
        """The folder's name is the time at which it was made."""
        seconds = self._folder.name.removeprefix("ep_").replace("_", ".")
        try:
            moment = datetime.datetime.fromtimestamp(float(seconds), datetime.UTC)
        except (ValueError, OverflowError, OSError):
            return None
        return moment.isoformat(timespec="seconds")


class _Part:
    """One file ``state_*.npz``.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def steps(self) -> int:
        """How many actions it declares."""
        with self._reading() as file:
            return file.length("action_infos")

    @property
    def success(self) -> bool:
        """Whether the task was accomplished at one of its steps."""
        with self._reading() as file:
            return bool(file.numbers("successful").any())

    @property
    def environment(self) -> str:
        """robosuite's name of the task."""
        with self._reading() as file:
            return file.text("env")

    def states(self) -> Array:
        """(N, S) simulator's states."""
        with self._reading() as file:
            return file.numbers("states").astype(np.float64)

    def actions(self) -> Array:
        """(N, A) what was asked of robosuite."""
        with self._reading() as file:
            steps = file.dicts("action_infos")
            if not all("actions" in step for step in steps):
                raise DatasetError("action_infos holds steps without actions")
            actions: list[Array] = [step["actions"] for step in steps]
            shapes = {action.shape for action in actions}
            if len(shapes) != 1 or actions[0].ndim != 1 or not actions[0].size:
                raise DatasetError("action_infos holds no actions of one size")
            # The steps of a pickle may be one and the same; the collector's have bytes each.
            if len(actions) * actions[0].size > file.size:
                raise DatasetError(
                    f"action_infos has {len(actions)} steps of {actions[0].size} elements in "
                    f"{file.size} bytes"
                )
            return np.stack(actions).astype(np.float64)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[NpzFile]:
        """Messages name the file."""
        try:
            yield NpzFile(self._path)
        except DatasetError as error:
            raise DatasetError(f"{self._path}: {error}") from error


def _joined(folder: Path, name: str, parts: list[Array]) -> Array:
    try:
        return np.concatenate(parts)
    except ValueError as error:
        raise DatasetError(f"{folder}: its {name} change their size: {error}") from error


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_TEXT:
            raise DatasetError(f"{path} is too large for what it should hold")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
