"""A run folder: self-contained, and nothing in it is a pickle.

::

    RUN/
      config.toml        how it was trained
      dataset.json       on what it was trained, and what it was begun from
      policy/            what evaluate and deploy need, and all that they need
      reward/            what was learnt from demonstrations in practice, to look at
      checkpoints/       where training can be resumed
      metrics.jsonl      one line of figures each few steps; the same as TensorBoard events
      evaluation.json    how good the policy is
      evaluation/        the episodes that say so, a dataset
      report.html        all of this to look at
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shlex
import shutil
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w
from pydantic import TypeAdapter, ValidationError

import robolearn
from robolearn.errors import FolderInUse, MissingDependency, ShelfError, TrainingError
from robolearn.folders import claimed, commit, write_file
from robolearn.shelf import read_toml

if TYPE_CHECKING:  # torch takes seconds to import, which who only asks for a path need not wait for
    import torch
    from _typeshed import DataclassInstance
    from torch.utils.tensorboard import SummaryWriter

    from robolearn.episodes.dataset import Dataset
    from robolearn.policies.policy import Policy

_STATE = "state.safetensors"


class Run:
    """The folder of one training run.

    Args:
        path: of the folder.
        wandb_project: of Weights & Biases, where figures go, too; a run that is resumed goes on
            there. None for no such.
    """

    def __init__(self, path: Path, wandb_project: str | None = None) -> None:
        self.path = path
        self._wandb_project = wandb_project
        self.config = path / "config.toml"
        self.policy = path / "policy"
        self.reward = path / "reward"
        self.evaluation = path / "evaluation.json"
        self.evaluation_episodes = path / "evaluation"
        self.unfinished_evaluation = path / "evaluation.unfinished"
        self.report = path / "report.html"
        self._dataset = path / "dataset.json"
        self._checkpoints = path / "checkpoints"
        self._metrics = path / "metrics.jsonl"
        self._events = path / "tensorboard"
        self._wandb = path / "wandb"

    @classmethod
    @contextlib.contextmanager
    def train(
        cls,
        path: Path,
        config: DataclassInstance,
        dataset: Dataset,
        *,
        resume: bool,
        wandb_project: str | None = None,
        command: Sequence[str] = ("train",),
        begun_from: str = "",
    ) -> Iterator[Run]:
        """Make a run folder, or open one to go on, and keep others from writing to it meanwhile.

        Args:
            path: of the folder.
            config: how to train; written down.
            dataset: to train on; written down.
            resume: go on with the training that the folder holds.
            wandb_project: as above.
            command: what is done, as one would write it after ``robolearn``, without the config;
                written down.
            begun_from: what it begins from beside the dataset, in words; written down.

        Raises:
            FolderInUse: the folder holds something already, or another process is at work in it.
            TrainingError: it is to be resumed with another config, whose keys are named, on
                another dataset or from something else, or there is nothing to resume.
        """
        run = cls(path, wandb_project)
        if run.config.is_file() and not resume:
            raise FolderInUse(
                f"the folder {path} is in use: add --resume to go on with it, or name another"
            )
        if resume and not (path.is_dir() and any(path.iterdir())):
            raise TrainingError(f"there is no run in {path} to go on with: leave out --resume")
        with claimed(path, "run", marker=run.config.name):
            if run.config.is_file():
                run._require_same(config, _TrainedOn.of(dataset, begun_from))
                if run.policy.exists():  # it was killed before it could
                    shutil.rmtree(run._checkpoints, ignore_errors=True)
                yield run
                return
            try:
                write_file(run._dataset, json.dumps(asdict(_TrainedOn.of(dataset, begun_from))))
                run._write_config(config, [*command, str(dataset.path)])
                yield run
            except (Exception, KeyboardInterrupt):
                run._remove_if_not_begun()
                raise

    def _remove_if_not_begun(self) -> None:
        """What came to nothing shall not stand in the way of what is meant."""
        # Step 0 is what was before it began.
        begun = any(row["step"] > 0 for row in self.read_metrics())
        if begun or self.has_checkpoint or self.policy.exists():
            return
        for folder in (self._events, self._wandb, self._checkpoints):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self._metrics, self._dataset, self.config):
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something else is in it
            self.path.rmdir()

    def _write_config(self, config: DataclassInstance, command: Sequence[str]) -> None:
        text = tomli_w.dumps(asdict(config))
        write_file(
            self.config,
            f"# robolearn {robolearn.__version__}\n"
            f"# {shlex.join(['robolearn', *command, '--config', str(self.config)])}"
            f" --to RUN\n\n{text}",
        )

    def _require_same(self, config: DataclassInstance, given: _TrainedOn) -> None:
        trained_on = self._trained_on()
        if not trained_on.begun_from:  # where that was not written down yet
            given = replace(given, begun_from="")
        if trained_on != given:
            raise TrainingError(
                f"{self.path} was begun with {trained_on}, not with {given}; "
                "resume it with the same, or train into another folder"
            )
        try:
            begun_with = read_toml(self.config, type(config))
        except ShelfError as error:
            raise TrainingError(
                f"{self.path} is not a run that this command can go on with, but of another "
                f"command or another robolearn: {error}"
            ) from error
        before, now = (_flat(asdict(value)) for value in (begun_with, config))
        differing = [key for key in before if before[key] != now[key]]
        if differing:
            raise TrainingError(
                f"{self.path} was begun with another config; to resume it, leave as it was: "
                + ", ".join(f"{key} = {json.dumps(before[key])}" for key in differing)
                + f"; --config {shlex.quote(str(self.config))} gives them all"
            )

    @property
    def dataset(self) -> Path | None:
        """What it was trained on; None where that is no longer there."""
        with contextlib.suppress(TrainingError):
            path = Path(self._trained_on().path)
            return path if path.exists() else None
        return None

    def _trained_on(self) -> _TrainedOn:
        try:
            return TypeAdapter(_TrainedOn).validate_json(self._dataset.read_bytes())
        except (OSError, ValidationError) as error:
            raise TrainingError(f"{self._dataset}: cannot be read; train anew") from error

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is something to go on from."""
        return any(self._checkpoints.glob("step_*"))

    def newest_checkpoint(self) -> dict[str, torch.Tensor] | None:
        """What `save_checkpoint` was given last; None when there is no checkpoint.

        Raises:
            TrainingError: it cannot be read.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        folders = sorted(self._checkpoints.glob("step_*"))
        if not folders:
            return None
        try:
            return load_file(folders[-1] / _STATE)
        except (OSError, SafetensorError) as error:
            raise TrainingError(
                f"{folders[-1]}: no readable checkpoint: {error}; "
                "remove it to go on from an earlier one"
            ) from error

    def save_checkpoint(self, step: int, state: Mapping[str, torch.Tensor]) -> None:
        """Keep what training needs to go on. The newest two checkpoints are kept."""
        from safetensors.torch import save

        folder = self._checkpoints / f"step_{step:08d}"
        if folder.exists():
            return
        staged = self._checkpoints / ".part"
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        try:
            tensors = {name: value.contiguous() for name, value in state.items()}
            (staged / _STATE).write_bytes(save(tensors))
            commit(staged, folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)  # on a full disk it would stay in the way
        for older in sorted(self._checkpoints.glob("step_*"))[:-2]:
            shutil.rmtree(older)

    def save_policy(self, policy: Policy) -> None:
        """Keep the finished policy; what was needed to resume is then no longer."""
        from robolearn.policies.checkpoint import save_policy

        if not self.policy.exists():
            save_policy(policy, self.policy)
        shutil.rmtree(self._checkpoints, ignore_errors=True)

    @contextlib.contextmanager
    def metrics(self) -> Iterator[Metrics]:
        """Where figures are written while training.

        Raises:
            MissingDependency: they are to go to Weights & Biases, and it is not installed.
            TrainingError: likewise, and it takes none: there is no account, or no network.
        """
        # TensorBoard takes a second to import; who only looks at a run need not wait for it.
        from torch.utils.tensorboard import SummaryWriter

        with contextlib.ExitStack() as stack:
            events = stack.enter_context(SummaryWriter(str(self._events)))
            sinks: list[Sink] = [partial(_add_scalars, events)]
            if self._wandb_project is not None:
                online = stack.enter_context(self._begin_wandb(self._wandb_project))
                sinks.append(lambda step, values: online.log(dict(values), step=step))
            yield Metrics(self._metrics, sinks)

    def _begin_wandb(self, project: str) -> Any:
        try:
            import wandb
        except ImportError as error:
            raise MissingDependency(
                f"--wandb needs wandb: pip install 'robolearn[wandb]' ({error})"
            ) from error
        config = tomllib.loads(self.config.read_text(encoding="utf-8"))
        path = self.path.resolve()
        try:
            return wandb.init(
                project=project,
                name=path.name,
                id=hashlib.sha256(str(path).encode()).hexdigest()[:16],  # the same when resumed
                resume="allow",
                dir=self.path,
                config=config,
                settings=wandb.Settings(console="off"),
            )
        except wandb.errors.Error as error:
            raise TrainingError(
                f"Weights & Biases takes no figures: {error}; set WANDB_MODE=offline to keep them "
                f"in {self._wandb} until `wandb sync`, or leave out --wandb"
            ) from error

    def read_metrics(self) -> list[dict[str, float]]:
        """The lines of ``metrics.jsonl``."""
        return _read_json_lines(self._metrics)


def _add_scalars(events: SummaryWriter, step: int, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        events.add_scalar(name, value, step)


type Sink = Callable[[int, Mapping[str, float]], None]
"""Takes the values of a step by name."""


class Metrics:
    """Figures of training steps, as JSON lines and wherever else they are wanted.

    Args:
        path: of the lines.
        sinks: that also take them.
    """

    def __init__(self, path: Path, sinks: Sequence[Sink]) -> None:
        self._path = path
        self._sinks = sinks

    def go_on_from(self, step: int) -> None:
        """Drop what a run that was killed had written after the step it is resumed from."""
        kept = [row for row in _read_json_lines(self._path) if row["step"] <= step]
        write_file(self._path, "".join(json.dumps(row) + "\n" for row in kept))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write the values of one step."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        for sink in self._sinks:
            sink(step, values)


def _read_json_lines(path: Path) -> list[dict[str, float]]:
    """A last line that was cut off by a crash is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        with contextlib.suppress(json.JSONDecodeError):
            rows.append(json.loads(line))
    return rows


@dataclass(frozen=True)
class _TrainedOn:
    """What identifies what a run learns from."""

    path: str
    episodes: int
    begun_from: str = ""

    @classmethod
    def of(cls, dataset: Dataset, begun_from: str) -> _TrainedOn:
        return cls(str(dataset.path.resolve()), len(dataset), begun_from)

    def __str__(self) -> str:
        begun = f", from {self.begun_from}" if self.begun_from else ""
        return f"{self.episodes} episodes of {self.path}{begun}"


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
