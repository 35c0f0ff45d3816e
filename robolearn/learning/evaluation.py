"""How good a policy is: seeded episodes, a success rate, and how sure one can be of it."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from scipy.stats import binomtest

from robolearn.agents.policy import PolicyAgent
from robolearn.control.simulation import record_episodes
from robolearn.environments.task import SimTask
from robolearn.episodes.dataset import DatasetWriter
from robolearn.episodes.frames import EpisodeContext, Outcome
from robolearn.errors import PolicyError
from robolearn.folders import write_file
from robolearn.learning.progress import Progress
from robolearn.policies.checkpoint import load_policy


def wilson_interval(successes: int, episodes: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a success rate (Wilson 1927, without continuity correction).

    Args:
        successes: of the episodes.
        episodes: at least 1.
        confidence: that the true rate lies inside.
    """
    interval = binomtest(successes, episodes).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True)
class Evaluation:
    """What the episodes said.

    Attributes:
        task: target that the policy was tried on.
        seeds: of the episodes.
        successes: for each seed, whether the task was accomplished at some step.
        held: for each seed, whether it still was at the last step.
        steps: of each episode.
    """

    task: str
    seeds: tuple[int, ...]
    successes: tuple[bool, ...]
    held: tuple[bool, ...]
    steps: tuple[int, ...]

    @property
    def rate(self) -> float:
        return sum(self.successes) / len(self.successes)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson interval of the rate at 95 %."""
        return wilson_interval(sum(self.successes), len(self.successes))

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"success {sum(self.successes)} of {len(self.successes)} episodes = {self.rate:.0%}, "
            f"95 % Wilson interval {low:.0%} to {high:.0%}; still held at the end: {sum(self.held)}"
        )

    def to_json(self) -> dict[str, object]:
        low, high = self.interval
        return dataclasses.asdict(self) | {
            "episodes": len(self.seeds),
            "success_rate": self.rate,
            "wilson_95": [low, high],
        }

    @classmethod
    def read(cls, path: Path) -> Evaluation:
        """What `write` wrote.

        Raises:
            PolicyError: the file is damaged.
        """
        try:
            return TypeAdapter(cls).validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise PolicyError(f"{path}: no readable evaluation; evaluate again") from error

    def write(self, path: Path) -> None:
        """Write as JSON; the file appears when it is complete."""
        write_file(path, json.dumps(self.to_json(), indent=2) + "\n")


def evaluate(
    policy: Path,
    task: SimTask,
    target: str,
    episodes: int,
    first_seed: int,
    processes: int,
    record: DatasetWriter,
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
