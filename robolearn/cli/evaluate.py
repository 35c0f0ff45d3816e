"""``robolearn evaluate``."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from pydantic import Field

from robolearn.cli.command import Command, Stopped
from robolearn.cli.main import ANSWER_IS_NO, DONE
from robolearn.control.seeds import FIRST_EVALUATION_SEED, FIRST_TRIAL_SEED
from robolearn.control.workers import available_cores
from robolearn.policies.config import ActionChoice


@dataclass(frozen=True, kw_only=True)
class Evaluate(Command):
    """Try a policy in the simulator and give its success rate.

    The episodes are recorded in the folder RUN, in evaluation/ beside evaluation.json. An earlier
    evaluation is replaced when this one is finished.

    Example: robolearn evaluate runs/lift --on sim:lift --episodes 50 --require 0.9

    Attributes:
        run_folder: a run, or a policy folder.
        on: what to drive: sim:NAME, gym:ID, or the path of a task's TOML file.
        episodes: how many.
        seed: of the first episode; demonstrations are never recorded with these seeds.
        require: exit with status 1 when the success rate is below this.
        processes: simulators at once; they do not change the result.
        actions: which of those that the policy holds for possible: mode, the best; low-noise, a way
            of going on is drawn, but no noise about it; sample, drawn as it stands; auto, what the
            policy's config says, or else low-noise for diffusion and flow, which have no best one,
            and mode for all others. What is drawn follows from the episode's seed.
    """

    run_folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(name="run", metavar="RUN")]
    on: str
    episodes: Annotated[int, Field(ge=1)] = 50
    seed: Annotated[int, Field(ge=FIRST_EVALUATION_SEED, lt=FIRST_TRIAL_SEED)] = (
        FIRST_EVALUATION_SEED
    )
    require: Annotated[float | None, Field(ge=0, le=1)] = None
    processes: Annotated[int, Field(ge=1)] = available_cores()
    actions: ActionChoice = "auto"

    def run(self) -> int:
        from robolearn.cli.report import report
        from robolearn.environments.targets import load_target
        from robolearn.episodes.formats.folder import FolderWriter
        from robolearn.errors import ConfigurationError
        from robolearn.learning.evaluation import evaluate
        from robolearn.learning.run import Run
        from robolearn.policies.checkpoint import load_policy

        task = load_target(self.on)
        run = Run(self.run_folder)
        load_policy(self.run_folder)
        with FolderWriter(run.unfinished_evaluation):
            """Another evaluation at work in the same folder is found here."""
        shutil.rmtree(run.unfinished_evaluation, ignore_errors=True)
        with FolderWriter(run.unfinished_evaluation) as record:
            try:
                with self.console.progress(f"evaluating on {self.on}") as progress:
                    evaluation = evaluate(
                        self.run_folder,
                        task,
                        self.on,
                        self.episodes,
                        self.seed,
                        min(self.processes, self.episodes),
                        record,
                        progress,
                        self.actions,
                    )
            except KeyboardInterrupt:
                raise Stopped(
                    f"{len(record)} of {self.episodes} episodes are kept in {record.path}; "
                    "there is no success rate without the others"
                ) from None
        run.evaluation.unlink(missing_ok=True)
        shutil.rmtree(run.evaluation_episodes, ignore_errors=True)
        run.unfinished_evaluation.rename(run.evaluation_episodes)
        evaluation.write(run.evaluation)
        path = report(run)
        self.console.say(f"{evaluation}")
        self.console.say(f"episodes in {run.evaluation_episodes}; report in {path}")
        self.console.result(evaluation.to_json() | {"report": path})
        if self.require is not None and not evaluation.successes:
            raise ConfigurationError(
                f"{self.on} does not tell success, so there is nothing to --require"
            )
        if self.require is not None and evaluation.rate < self.require:
            self.console.say(f"below the {self.require:.0%} that were required")
            return ANSWER_IS_NO
        return DONE
