"""Trying a policy in the simulator, in seeded episodes."""

from __future__ import annotations

import multiprocessing
from functools import partial
from pathlib import Path

import torch

from robolearn.agents.policy import PolicyAgent
from robolearn.control.simulation import record_episodes
from robolearn.environments.task import SimTask
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import EpisodeContext, Outcome
from robolearn.learning.progress import Progress
from robolearn.learning.success import Evaluation
from robolearn.policies.checkpoint import load_policy


def evaluate(
    policy: Path,
    task: SimTask,
    target: str,
    episodes: int,
    first_seed: int,
    processes: int,
    record: FolderWriter,
    progress: Progress,
) -> Evaluation:
    """Try a policy in the simulator.

    Args:
        policy: its folder.
        task: to try it on.
        target: how the user named the task.
        episodes: how many.
        first_seed: of the first episode; the next ones follow.
        processes: simulators at once; they do not change the result.
        record: keeps the episodes, each as it ends.
        progress: called after each episode.

    Raises:
        PolicyError: the policy cannot be read.
        FeatureMismatch: it does not fit the task.
        SimulationError: a simulator died.
    """
    seeds = range(first_seed, first_seed + episodes)
    outcomes: list[Outcome] = []
    for result in record_episodes(
        task,
        partial(load_agent, policy, target),
        "policy",
        seeds,
        record,
        lambda outcome: True,
        processes,
    ):
        outcomes.append(result.outcome)
        done = sum(bool(outcome.success) for outcome in outcomes)
        progress(len(outcomes), episodes, f"{done} of {len(outcomes)} succeeded")
    return Evaluation(
        task=target,
        seeds=tuple(seeds),
        successes=tuple(bool(outcome.success) for outcome in outcomes),
        held=tuple(bool(outcome.success_at_end) for outcome in outcomes),
        steps=tuple(outcome.steps for outcome in outcomes),
    )


def load_agent(policy: Path, target: str, context: EpisodeContext) -> PolicyAgent:
    """The agent of a policy folder, for an environment of this context.

    Raises:
        PolicyError: the policy cannot be read.
        FeatureMismatch: it does not fit the environment.
    """
    loaded = load_policy(policy)
    loaded.schema.require_fit(context, target)
    if multiprocessing.parent_process() is not None:
        torch.set_num_threads(1)  # the other cores have simulators of their own
    return PolicyAgent(loaded)
