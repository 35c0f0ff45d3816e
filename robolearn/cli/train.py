"""``robolearn train``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from robolearn.cli.command import Command, Stopped, config_named
from robolearn.learning.config import CloningConfig
from robolearn.shelf import read_toml

if TYPE_CHECKING:
    from robolearn.learning.cloning import Trial


@dataclass(frozen=True, kw_only=True)
class Train(Command):
    """Clone a policy from demonstrations.

    Example: robolearn train datasets/lift --to runs/lift --steps 2000 --policy.horizon 8

    Attributes:
        dataset: a dataset of any form.
        to: the run folder, which is made.
        config: a TOML file with the options below, such as the config.toml of another run; what the
            command line names goes before it.
        resume: go on with the training that the run folder holds.
        on: try the policy while it is trained, each --evaluate-every steps: sim:NAME, gym:ID, or
            the path of a task's TOML file.
        wandb: project of Weights & Biases that figures go to, beside the run folder.
        cloning: how to train.
    """

    dataset: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATASET")]
    to: Path
    config: Path | None = None
    resume: bool = False
    on: str | None = None
    wandb: str | None = None
    cloning: Annotated[CloningConfig, tyro.conf.arg(name="")] = field(default_factory=CloningConfig)

    @classmethod
    def defaults(cls, arguments: Sequence[str]) -> Train | None:
        named = config_named(arguments)
        if named is None:
            return None
        missing = dict.fromkeys(("dataset", "to"), tyro.MISSING)
        return cls(**missing, config=named, cloning=read_toml(named, CloningConfig))

    def run(self) -> int:
        from robolearn.cli.report import report
        from robolearn.episodes.formats import open_dataset
        from robolearn.learning.acceleration import is_first_process
        from robolearn.learning.cloning import clone
        from robolearn.learning.run import Run

        dataset = open_dataset(self.dataset)
        if not is_first_process():
            clone(dataset, Run(self.to), self.cloning, lambda *_: None)
            return 0
        trial = self._trial()
        with Run.train(
            self.to, self.cloning, dataset, resume=self.resume, wandb_project=self.wandb
        ) as run:
            if run.policy.is_dir():
                self.console.say(f"{self.to} is finished already")
            try:
                with self.console.progress("training") as progress:
                    clone(dataset, run, self.cloning, progress, trial)
            except KeyboardInterrupt:
                raise Stopped.with_kept(run) from None
            rows = [row for row in run.read_metrics() if "train/total" in row]
            last = rows[-1] if rows else {}  # they may have been removed since
            path = report(run)
        losses = {name: value for name, value in last.items() if name.endswith("/total")}
        text = ", ".join(
            f"{name.removesuffix('/total')} {value:.3f}" for name, value in losses.items()
        )
        self.console.say(f"policy in {run.policy} (loss: {text or 'not known'}); report in {path}")
        self.console.result({"run": self.to, "policy": run.policy, "report": path, "metrics": last})
        return 0

    def _trial(self) -> Trial | None:
        """What tries the policy while it is trained.

        Raises:
            ConfigurationError: only one of --on and --evaluate-every is given.
            ShelfError: there is no such task.
        """
        from robolearn.environments.targets import load_target
        from robolearn.errors import ConfigurationError
        from robolearn.learning.evaluation import Trials

        if (self.on is None) != (self.cloning.evaluate_every == 0):
            raise ConfigurationError(
                "--on TASK and --evaluate-every STEPS belong together: what to try, and how often"
            )
        if self.on is None:
            return None
        return Trials(load_target(self.on), self.on, self.cloning.evaluate_episodes)
