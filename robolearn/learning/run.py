"""A run folder: self-contained, and nothing in it is a pickle.

::

    RUN/
      config.toml        everything needed to repeat it
      policy/            what evaluate and deploy need, and all that they need
      checkpoints/       where training can be resumed
      metrics.jsonl      one line of figures each few steps; the same as TensorBoard events
      evaluation.json    how good the policy is
      report.html        all of this to look at
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli_w
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

import robolearn
from robolearn.errors import FolderInUse, TrainingError
from robolearn.learning.config import CloningConfig
from robolearn.policies.checkpoint import commit_folder, save_policy
from robolearn.policies.policy import Policy
from robolearn.shelf import read_toml

_STATE = "state.safetensors"


class Run:
    """The folder of one training run.

    Args:
        path: of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.toml"
        self.policy = path / "policy"
        self.evaluation = path / "evaluation.json"
        self.report = path / "report.html"
        self._checkpoints = path / "checkpoints"
        self._metrics = path / "metrics.jsonl"

    @classmethod
    @contextlib.contextmanager
    def train(cls, path: Path, config: CloningConfig, dataset: Path, *, resume: bool) -> Iterator[Run]:
        """Make a run folder, or open one to go on, and keep others from writing to it meanwhile.

        Args:
            path: of the folder.
            config: how to train; written down.
            dataset: to train on; written down.
            resume: go on with the training that the folder holds.

        Raises:
            FolderInUse: the folder holds something already, or another process is at work in it.
            TrainingError: it is to be resumed with another config; names the keys that differ.
        """
        run = cls(path)
        if path.exists() and not path.is_dir():
            raise FolderInUse(f"{path} is a file; name a folder for the run")
        if path.is_dir() and any(path.iterdir()) and not (resume and run.config.is_file()):
            advice = "add --resume to go on with it, or name another" if run.config.is_file() else "name another"
            raise FolderInUse(f"the folder {path} is in use: {advice}")
        path.mkdir(parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise FolderInUse(f"another process is training in {path}; wait for it or stop it") from error
            if run.config.is_file():
                run._require_same(config)
            else:
                run._write_config(config, dataset)
            yield run
        finally:
            os.close(lock)

    def _write_config(self, config: CloningConfig, dataset: Path) -> None:
        text = tomli_w.dumps(dataclasses.asdict(config))
        self.config.write_text(
            f"# robolearn {robolearn.__version__}\n"
            f"# robolearn train {dataset} --config {self.config} --to RUN\n\n{text}",
            encoding="utf-8",
        )

    def _require_same(self, config: CloningConfig) -> None:
        before, now = (
            _flat(dataclasses.asdict(value)) for value in (read_toml(self.config, CloningConfig), config)
        )
        differing = [key for key in before if before[key] != now[key]]
        if differing:
            raise TrainingError(
                f"{self.path} was begun with another config; to resume it, leave as it was: "
                + ", ".join(f"{key} = {before[key]!r}" for key in differing)
            )

    def newest_checkpoint(self) -> dict[str, torch.Tensor] | None:
        """What `save_checkpoint` was given last; None when there is no checkpoint.

        Raises:
            TrainingError: it cannot be read.
        """
        folders = sorted(self._checkpoints.glob("step_*"))
        if not folders:
            return None
        try:
            return load_file(folders[-1] / _STATE)
        except (OSError, SafetensorError) as error:
            raise TrainingError(
                f"{folders[-1]}: no readable checkpoint: {error}; remove it to go on from an earlier one"
            ) from error

    def save_checkpoint(self, step: int, state: Mapping[str, torch.Tensor]) -> None:
        """Keep what training needs to go on. The newest two checkpoints are kept."""
        folder = self._checkpoints / f"step_{step:08d}"
        if folder.exists():
            return
        staged = self._checkpoints / ".part"
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        save_file({name: value.contiguous() for name, value in state.items()}, staged / _STATE)
        commit_folder(staged, folder)
        for older in sorted(self._checkpoints.glob("step_*"))[:-2]:
            shutil.rmtree(older)

    def save_policy(self, policy: Policy) -> None:
        """Keep the finished policy; what was needed to resume is then no longer."""
        if not self.policy.exists():
            save_policy(policy, self.policy)
        shutil.rmtree(self._checkpoints, ignore_errors=True)

    @contextlib.contextmanager
    def metrics(self, step: int) -> Iterator[Metrics]:
        """Where figures are written.

        Args:
            step: to go on from; what was written after it, before a crash, is dropped.
        """
        kept = [row for row in self.read_metrics() if row["step"] <= step]
        self._metrics.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
        # TensorBoard takes a second to import, which commands that only look at a run need not wait for.
        from torch.utils.tensorboard import SummaryWriter

        with (
            self._metrics.open("a", encoding="utf-8") as file,
            SummaryWriter(str(self.path / "tensorboard"), purge_step=step or None) as events,  # type: ignore[no-untyped-call]
        ):
            yield Metrics(file, events)

    def read_metrics(self) -> list[dict[str, float]]:
        """The lines of ``metrics.jsonl``. One that was cut off by a crash is left out."""
        if not self._metrics.is_file():
            return []
        rows = []
        for line in self._metrics.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                rows.append(json.loads(line))
        return rows


class Metrics:
    """Figures of a training step, as JSON lines and as TensorBoard events."""

    def __init__(self, file: Any, events: Any) -> None:
        self._file = file
        self._events = events

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Write the values of one step."""
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._events.add_scalar(name, value, step)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
