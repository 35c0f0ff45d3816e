"""Seeded episodes of a simulated task, in several processes, each recorded in a file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from robolearn.agents.agent import Agent
from robolearn.control.clock import Clock
from robolearn.control.loop import Observer, run_episode
from robolearn.control.seeds import FIRST_EVALUATION_SEED
from robolearn.control.workers import run_in_order
from robolearn.environments.environment import Environment
from robolearn.environments.targets import Task, make_environment
from robolearn.episodes.formats.folder import FolderDataset, FolderWriter
from robolearn.episodes.formats.hdf5 import write_episode
from robolearn.episodes.frames import Array, EpisodeContext, Outcome
from robolearn.episodes.images import CodecName
from robolearn.episodes.labels import NO_LABELS, Labels
from robolearn.episodes.recorder import Recorder
from robolearn.errors import ConfigurationError

type MakeAgent = Callable[[EpisodeContext], Agent]

type Watch = Callable[[EpisodeContext], AbstractContextManager[Observer]]
"""From the environment's context to someone who looks on."""

type Wrap = Callable[[Any, Any], Environment]
"""From an environment and an agent, each of the kind that it needs, to another environment."""


def seeds_after(writer: FolderWriter, first: int) -> Iterator[int]:
    """Seeds for episodes to record, without end.

    Args:
        writer: of the dataset that they are added to. If it has episodes, the seeds follow the last
            one's, so that a recording that was stopped goes on as if it had not been.
        first: seed of an empty dataset's first episode.

    Raises:
        ConfigurationError: the seeds would run into those that evaluation uses.
    """
    seed = first
    if len(writer):
        last = FolderDataset(writer.path).summaries[-1].seed
        seed = first if last is None else last + 1
    while seed < FIRST_EVALUATION_SEED:
        yield seed
        seed += 1
    raise ConfigurationError(
        f"seeds from {FIRST_EVALUATION_SEED} on are kept for evaluation; record with a lower --seed"
    )


@dataclass(frozen=True)
class SeededOutcome:
    """How the episode of one seed ended, and whether it was kept.

    Attributes:
        rewards: (T,) of its steps; 0 where the environment has none.
    """

    seed: int
    outcome: Outcome
    rewards: Array
    kept: bool


def record_episodes(
    task: Task,
    make_agent: MakeAgent,
    agent_name: str,
    seeds: Iterable[int],
    writer: FolderWriter,
    keep: Callable[[Outcome], bool],
    processes: int,
    images: CodecName = "lossless",
    labels: Labels = NO_LABELS,
    wrap: Wrap | None = None,
    watch: Watch | None = None,
) -> Generator[SeededOutcome]:
    """Run an episode for each seed and add those that are to be kept to a dataset, in their order.

    The same seeds give the same dataset, whatever the number of processes.

    Args:
        task: to run.
        make_agent: called once in each process with the environment's context. Picklable.
        agent_name: recorded with each episode.
        seeds: one an episode; may be endless.
        writer: of the dataset.
        keep: which episodes are kept.
        processes: simulators at once.
        images: how they are encoded.
        labels: given to each episode.
        wrap: called once in each process with the environment and the agent; gives the environment
            that is driven instead. Picklable.
        watch: who looks on, which takes one process. Episodes then last as long as they would in
            the world, so that one sees what happens.

    Raises:
        ConfigurationError: someone is to look on at several processes.
    """
    if watch is not None and processes > 1:
        raise ConfigurationError("one simulator can be looked at, not several at once")
    jobs = ((seed, writer.stage(f"seed_{seed}")) for seed in seeds)
    simulator = partial(_simulator, task, make_agent, agent_name, images, labels, wrap, watch)
    with contextlib.closing(run_in_order(simulator, jobs, processes)) as episodes:
        for seed, staged, outcome, rewards in episodes:
            kept = staged.exists() and keep(outcome)  # there is no episode without a step
            if kept:
                writer.commit(staged)
            else:
                staged.unlink(missing_ok=True)
            yield SeededOutcome(seed, outcome, rewards, kept)


@contextlib.contextmanager
def _simulator(
    task: Task,
    make_agent: MakeAgent,
    agent_name: str,
    images: CodecName,
    labels: Labels,
    wrap: Wrap | None,
    watch: Watch | None,
) -> Iterator[Callable[[tuple[int, Path]], tuple[int, Path, Outcome, Array]]]:
    """A worker: one environment and one agent, used again for each episode."""
    environment = make_environment(task)
    with contextlib.ExitStack() as held:
        held.callback(environment.close)
        agent = make_agent(environment.context)
        if wrap is not None:
            environment = wrap(environment, agent)
            held.callback(environment.close)
        lookers_on: list[Observer] = []
        clock = None
        if watch is not None:
            lookers_on.append(held.enter_context(watch(environment.context)))
            clock = Clock(environment.context.rate)

        def run(job: tuple[int, Path]) -> tuple[int, Path, Outcome, Array]:
            seed, staged = job
            # Cut off, it is not kept: the same seed gives the same episode again.
            journal = staged.with_suffix(".journal.part")
            recorder = Recorder(journal, agent_name, images=images, wait=True)
            try:
                outcome = run_episode(environment, agent, [recorder, *lookers_on], clock, seed=seed)
                if labels != NO_LABELS:
                    recorder.label(labels)
                episode = recorder.episode()
                if episode is not None:
                    write_episode(episode, staged)
            finally:
                recorder.discard()
            rewards = np.zeros(0) if episode is None else episode.rewards
            return seed, staged, outcome, rewards

        yield run
