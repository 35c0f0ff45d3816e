"""Trying a policy in the simulator, in seeded episodes."""

from __future__ import annotations

import contextlib
import multiprocessing
import statistics
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from robolearn.agents.policy import PolicyAgent
from robolearn.control.seeds import FIRST_TRIAL_SEED
from robolearn.control.simulation import SeededOutcome, record_episodes
from robolearn.control.workers import available_cores
from robolearn.environments.targets import Task, make_environment
from robolearn.episodes.features import DEPTH, IMAGES
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import EpisodeContext
from robolearn.learning.progress import Progress
from robolearn.learning.success import Evaluation
from robolearn.policies.checkpoint import load_policy
from robolearn.policies.config import ActionChoice
from robolearn.policies.schema import PolicySchema


def evaluate(
    policy: Path,
    task: Task,
    target: str,
    episodes: int,
    first_seed: int,
    processes: int,
    record: FolderWriter,
    progress: Progress,
    actions: ActionChoice = "auto",
) -> Evaluation:
    """Try a policy in the simulator.

    Args:
        policy: its folder.
        task: to try it on, `with_cameras_seen` by the policy.
        target: how the user named the task.
        episodes: how many.
        first_seed: of the first episode; the next ones follow.
        processes: simulators at once; they do not change the result.
        record: keeps the episodes, each as it ends.
        progress: called after each episode.
        actions: which of the possible ones the policy carries out, see `PolicyAgent`.

    Raises:
        PolicyError: the policy cannot be read.
        FeatureMismatch: it does not fit the task.
        SimulationError: a simulator died, or it has no such camera as the policy sees.
    """
    task = with_cameras_seen(task, load_policy(policy).schema)
    seeds = range(first_seed, first_seed + episodes)
    results: list[SeededOutcome] = []
    for result in record_episodes(
        task,
        partial(load_agent, policy, target, actions=actions),
        "policy",
        seeds,
        record,
        lambda outcome: True,
        processes,
    ):
        results.append(result)
        done = sum(bool(result.outcome.success) for result in results)
        known = any(result.outcome.success is not None for result in results)
        progress(len(results), episodes, f"{done} of {len(results)} succeeded" if known else "")
    outcomes = [result.outcome for result in results]
    judged = [outcome for outcome in outcomes if known]
    return Evaluation(
        task=target,
        seeds=tuple(seeds),
        successes=tuple(bool(outcome.success) for outcome in judged),
        held=tuple(bool(outcome.success_at_end) for outcome in judged),
        steps=tuple(outcome.steps for outcome in outcomes),
        returns=tuple(float(result.rewards.sum()) for result in results),
        greatest_rewards=tuple(
            float(result.rewards.max()) if len(result.rewards) else 0.0 for result in results
        ),
        broken_down=tuple(outcome.ended == "failed" for outcome in outcomes),
        actions=actions,
    )


def with_cameras_seen(task: Task, schema: PolicySchema) -> Task:
    """The same task, rendering the cameras that a policy sees unless it names cameras itself.

    All are rendered as large as the policy sees the first: an environment has one size.
    """
    seen = (*schema.images, *schema.depths)
    if task.cameras.names or not seen:
        return task
    height, width = schema.inputs[seen[0]].shape[:2]
    names = [name.removeprefix(f"{IMAGES}.").removesuffix(DEPTH) for name in seen]
    return task.with_cameras(
        tuple(dict.fromkeys(names)),
        height,
        width,
        task.cameras.quality,
        depth=bool(schema.depths),
    )


@dataclass(frozen=True)
class Trials:
    """Tries policies while they are trained, always on the same seeds, and keeps no episodes.

    Args:
        task: to try them on.
        target: how the user named it.
        episodes: of each trial.
    """

    task: Task
    target: str
    episodes: int

    def require_fit(self, schema: PolicySchema) -> None:
        """Raise unless a policy of this schema can be tried, which else the first trial would.

        Raises:
            FeatureMismatch: names every difference.
            MissingDependency: what simulates the task is not installed.
            SimulationError: the task cannot be made, or has no such camera as the policy sees.
        """
        with contextlib.closing(make_environment(with_cameras_seen(self.task, schema))) as made:
            schema.require_fit(made.context, self.target)

    def __call__(self, policy: Path) -> dict[str, float]:
        """``success`` or ``return``, means over the episodes, of the policy in a folder."""
        with FolderWriter(policy.parent / "episodes") as record:
            evaluation = evaluate(
                policy,
                self.task,
                self.target,
                self.episodes,
                FIRST_TRIAL_SEED,
                min(available_cores(), self.episodes),
                record,
                lambda *_: None,
            )
        success = {"success": evaluation.rate} if evaluation.successes else {}
        return success | {"return": statistics.fmean(evaluation.returns)}


def load_agent(
    policy: Path, target: str, context: EpisodeContext, actions: ActionChoice = "auto"
) -> PolicyAgent:
    """The agent of a policy folder, for an environment of this context.

    Raises:
        PolicyError: the policy cannot be read.
        FeatureMismatch: it does not fit the environment.
    """
    loaded = load_policy(policy)
    loaded.schema.require_fit(context, target)
    if multiprocessing.parent_process() is not None:
        torch.set_num_threads(1)  # the other cores have simulators of their own
    return PolicyAgent(loaded, context.task, actions)
