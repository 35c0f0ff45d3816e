"""``robolearn finetune``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from pydantic import Field

from robolearn.cli.command import Command, Stopped, config_named
from robolearn.control.workers import available_cores
from robolearn.learning.finetuning.config import FinetuningConfig
from robolearn.shelf import read_toml

if TYPE_CHECKING:
    from robolearn.control.vector_environment import VectorEnvironment
    from robolearn.environments.targets import Task


@dataclass(frozen=True, kw_only=True)
class Finetune(Command):
    """Let a policy practise in the simulator, guided by demonstrations and no task reward.

    A reward is learnt that tells demonstrations from what the policy does (GAIL), and the policy is
    improved by it. What is kept is the average of its weights that succeeded most often in trials
    on seeds of their own, which robolearn evaluate never uses.

    Example: robolearn finetune runs/lift --on sim:lift --demos datasets/lift --to runs/lift-gail

    Attributes:
        run_folder: a run, or a policy folder, that practice begins from.
        on: where it practises: sim:NAME, gym:ID, or the path of a task's TOML file.
        demos: a dataset of demonstrations of that task.
        to: the run folder, which is made.
        config: a TOML file with the options below, such as the config.toml of another run; what the
            command line names goes before it.
        resume: go on with the practice that the run folder holds.
        wandb: project of Weights & Biases that figures go to, beside the run folder. Needs
            robolearn[wandb].
        processes: simulators at once.
        ray: simulators on the machines of the Ray cluster that is running, or where none is, as
            Ray's workers on this one. Needs robolearn[cluster].
        finetuning: how to practise.
    """

    run_folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(name="run", metavar="RUN")]
    on: str
    demos: Path
    to: Path
    config: Path | None = None
    resume: bool = False
    wandb: str | None = None
    processes: Annotated[int, Field(ge=1)] = available_cores()
    ray: bool = False
    finetuning: Annotated[FinetuningConfig, tyro.conf.arg(name="")] = field(
        default_factory=FinetuningConfig
    )

    @classmethod
    def defaults(cls, arguments: Sequence[str]) -> Finetune | None:
        named = config_named(arguments)
        if named is None:
            return None
        missing = dict.fromkeys(("run_folder", "on", "demos", "to"), tyro.MISSING)
        return cls(**missing, config=named, finetuning=read_toml(named, FinetuningConfig))

    def run(self) -> int:
        from robolearn.environments.targets import load_target
        from robolearn.environments.task import SimTask
        from robolearn.episodes.formats import open_dataset

        # What is quick to see is seen before torch is imported.
        dataset, target = open_dataset(self.demos), load_target(self.on)
        from robolearn.cli.report import report
        from robolearn.learning.evaluation import with_cameras_seen
        from robolearn.learning.finetuning.account import Kept, time_shares
        from robolearn.learning.finetuning.finetune import finetune, require_practicable
        from robolearn.learning.freed_memory import keep_freed_memory
        from robolearn.learning.run import Run
        from robolearn.policies.checkpoint import load_policy, policy_folder

        keep_freed_memory()
        policy = load_policy(self.run_folder)
        task = with_cameras_seen(target, policy.schema)
        relevant = task.observation.relevant if isinstance(task, SimTask) else ()
        require_practicable(policy, dataset, relevant, self.finetuning)
        command = ["finetune", str(self.run_folder), "--on", self.on, "--demos"]
        with Run.train(
            self.to,
            self.finetuning,
            dataset,
            resume=self.resume,
            wandb_project=self.wandb,
            command=command,
            begun_from=f"{policy_folder(self.run_folder.resolve())} on {_resolved(self.on)}",
        ) as run:
            if run.policy.is_dir():
                self.console.say(f"{self.to} is finished already")
            else:
                self.console.say(
                    "starting simulators"
                    + ("" if run.has_checkpoint else "; then the policy is tried as it is")
                )
                try:
                    with (
                        self._environments(task) as environments,
                        self.console.progress("practising") as progress,
                    ):
                        finetune(
                            policy,
                            dataset,
                            environments,
                            relevant,
                            run,
                            self.finetuning,
                            progress,
                            self.console.say,
                        )
                except KeyboardInterrupt:
                    raise Stopped.with_kept(run) from None
            rows = run.read_metrics()
            path = report(run)
        kept = Kept.of(rows)
        if kept is not None:
            self.console.say(str(kept))
        self.console.say(f"policy in {run.policy}; report in {path}")
        shares = time_shares(rows)
        if shares:
            self.console.say(
                f"of the time, {shares['physics']:.0%} saw physics and {shares['learning']:.0%} "
                "learning"
            )
        result = {
            "run": self.to,
            "policy": run.policy,
            "report": path,
            "metrics": rows[-1] if rows else {},
            "kept_from_step": kept.step if kept else None,
            "time_shares": shares,
        }
        self.console.result(result)
        return 0

    def _environments(self, task: Task) -> VectorEnvironment:
        """As many as an iteration has episodes, so that each does one."""
        from robolearn.control.process_environments import ProcessEnvironments
        from robolearn.control.ray_environments import RayEnvironments
        from robolearn.environments.targets import make_environment

        count = self.finetuning.episodes
        make, workers = partial(make_environment, task), min(self.processes, count)
        return (RayEnvironments if self.ray else ProcessEnvironments)(make, count, workers)


def _resolved(target: str) -> str:
    """The same for a file however it is named."""
    return str(Path(target).resolve()) if Path(target).is_file() else target
