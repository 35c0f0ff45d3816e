"""Environments in workers that may die, hang or raise without stopping the others."""

from __future__ import annotations

import itertools
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from robolearn.control.environment_rows import ObservationRows, row_type
from robolearn.control.environment_share import Command, Failures
from robolearn.control.vector_environment import Indices, VectorEnvironment, VectorObservation
from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.errors import RobolearnError, SimulationError

_LOG = logging.getLogger(__name__)

ATTEMPTS = 3
"""Failures of an environment in a row, without a step between, after which it is given up."""

CLOSE_LIMIT = 3.0
"""Seconds in which workers have to close their environments."""


@dataclass(frozen=True)
class Made:
    """What a worker answers when it has made its environments."""

    context: EpisodeContext
    horizon: int


type Answer = Made | RobolearnError | Failures
"""Of a worker: to its start, that its environments are made or what prevented it; to a command,
what went wrong, with rows counted within its share."""


class WorkerLost(Exception):
    """A worker is no more; the message says why."""


class Worker(ABC):
    """A process, here or on another machine, that has a share of the environments.

    Args:
        share: which rows.

    Attributes:
        share: which rows.
        busy: it was started or given a command, and has not answered.
        deadline: when it has to have answered, in seconds of the monotonic clock.
        made: its environments are made.
        stepped: it has done a step.
    """

    def __init__(self, share: slice) -> None:
        self.share = share
        self.busy = False
        self.deadline = 0.0
        self.made = False
        self.stepped = False

    @property
    def indices(self) -> range:
        """Of the environments in its share."""
        return range(self.share.start, self.share.stop)

    @abstractmethod
    def start(self) -> None:
        """Begin a new process, which makes the environments. Does not wait for it."""

    @abstractmethod
    def ask(self, command: Command) -> None:
        """Have a command done in those environments of the share whose row is ``chosen``.

        If it cannot be reached, `answer` says so.
        """

    @abstractmethod
    def answer(self) -> Answer:
        """What it answered, once it has. What it wrote down is in the rows then.

        Raises:
            WorkerLost: it ended.
        """

    @abstractmethod
    def close(self) -> None:
        """Have it close its environments and end. Does not wait for it."""

    @abstractmethod
    def await_end(self, deadline: float) -> None:
        """Wait for that, until a time of the monotonic clock."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once, whatever it does; `answer` then raises. May be called twice."""


def shares(count: int, workers: int) -> list[slice]:
    """The rows of each worker: as many for each, but for one.

    Raises:
        ValueError: there are fewer rows than workers, or no workers.
    """
    if not 1 <= workers <= count:
        raise ValueError(f"{count} environments cannot be spread over {workers} workers")
    ends = [count * worker // workers for worker in range(workers + 1)]
    return [slice(*pair) for pair in itertools.pairwise(ends)]


class WorkerEnvironments[W: Worker](VectorEnvironment):
    """Environments that are spread over workers.

    A worker that dies, or gives no answer in time, is replaced by a new one while the others go on;
    an environment that raises is made anew where it is. Their episodes are lost.

    Args:
        workers: not yet started; their shares are 0 … N − 1, in this order.
        time_limit: seconds in which a worker has to do a command in all environments of its share.
        start_limit: seconds in which a new worker has to make its environments, and as many for its
            first step, for which a simulator may be compiled.

    Raises:
        RobolearnError: the environments cannot be made: what making one raised, or that a worker
            died again and again.
    """

    def __init__(self, workers: Sequence[W], time_limit: float, start_limit: float) -> None:
        if not (time_limit > 0 and start_limit > 0):
            raise ValueError(f"time limits must be positive, not {time_limit} and {start_limit}")
        self._workers = workers
        self._time_limit = time_limit
        self._start_limit = max(start_limit, time_limit)
        self._count: int = workers[-1].share.stop
        self._made: Made | None = None
        self._rows: Array
        self._seen: ObservationRows
        self._observation: VectorObservation | None = None
        self._fresh = False
        self._begun = np.zeros(self._count, bool)
        self._over = np.ones(self._count, bool)
        self._lost = np.zeros(self._count, bool)
        self._lost_episodes = 0
        self._failures: dict[int, list[str]] = {}
        self._closed = False
        try:
            for worker in workers:
                self._start(worker)
            self._await_made(workers)
        except BaseException:
            self._end()
            raise

    def __len__(self) -> int:
        return self._count

    @property
    def context(self) -> EpisodeContext:
        return self._description.context

    @property
    def horizon(self) -> int:
        return self._description.horizon

    @property
    def lost_episodes(self) -> int:
        return self._lost_episodes

    def reset(self, seeds: Sequence[int] | Array, which: Indices | None = None) -> None:
        indices = self._indices(which)
        if len(seeds) != len(indices):
            raise ValueError(f"there are {len(seeds)} seeds for {len(indices)} environments")
        for seed in seeds:
            if not 0 <= seed < 2**63:
                raise ValueError(f"a seed must be within 0 and 2**63 - 1, not {seed}")
        self._settle()
        chosen = np.zeros(self._count, bool)
        chosen[indices] = True
        self._await_made([w for w in self._workers if not w.made and chosen[w.share].any()])
        self._rows["seed"][indices] = np.asarray(seeds, np.int64)
        self._begun[indices] = True
        self._over[indices] = False
        self._lost[indices] = False
        self._do("reset", chosen)

    def act(self, actions: Array) -> Array:
        self._settle()
        self._require_begun()
        actions = np.asarray(actions)
        expected = (self._count, *self.context.action.shape)
        if actions.shape != expected:
            raise ValueError(f"the actions have the shape {actions.shape}, not {expected}")
        driven = ~self._over
        broken = driven & ~np.isfinite(actions).all(axis=1)
        if broken.any():
            index = int(broken.argmax())
            raise ValueError(f"the action of environment {index} is not finite: {actions[index]}")
        self._rows["action"][driven] = self.context.action.limited(actions[driven])
        self._rows["sent"] = 0
        self._seen.forget_rewards(self._over)
        self._do("act", driven)
        sent: Array = self._rows["sent"].copy()
        sent[self._lost] = 0
        return sent

    def observe(self) -> VectorObservation:
        self._settle()
        self._require_begun()
        if self._observation is None:
            raise ValueError("nothing was observed yet")
        return self._observation

    def close(self) -> None:
        deadline = time.monotonic() + CLOSE_LIMIT
        # One that is in the middle of something would not hear of it.
        idle = [worker for worker in self._workers if worker.made and not worker.busy]
        try:
            for worker in idle:
                worker.close()
            for worker in idle:
                worker.await_end(deadline)
        finally:
            self._end()

    @abstractmethod
    def _wait(self, workers: list[W], seconds: float) -> Sequence[W]:
        """Those workers that have answered or ended, as soon as there is one.

        Args:
            workers: busy ones.
            seconds: to wait at most.
        """

    @abstractmethod
    def _new_rows(self, row: np.dtype[Any]) -> Array:
        """(N,) rows of this type, all zero."""

    @abstractmethod
    def _attach(self, worker: W) -> None:
        """Let a worker, whose environments are made, read and write its share of the rows."""

    def _end(self) -> None:
        """End all workers at once. May be called twice."""
        self._closed = True
        for worker in self._workers:
            worker.kill()

    @property
    def _description(self) -> Made:
        if self._made is None:
            raise ValueError("the environments are not made yet")
        return self._made

    def _require_begun(self) -> None:
        if not self._begun.all():
            never = ", ".join(map(str, np.flatnonzero(~self._begun).tolist()))
            raise ValueError(f"reset all environments first; these never were: {never}")

    def _indices(self, which: Indices | None) -> Array:
        if which is None:
            return np.arange(self._count)
        indices = np.asarray(which, dtype=None if len(which) else int)
        if indices.dtype.kind not in "iu" or not ((indices >= 0) & (indices < self._count)).all():
            raise ValueError(f"{which!r} are no indices of {self._count} environments")
        if len(np.unique(indices)) != len(indices):
            raise ValueError(f"an environment cannot be reset twice at once: {which!r}")
        return indices

    def _settle(self) -> None:
        """Wait for what a command that was broken off by Ctrl-C left undone."""
        if self._closed:
            raise ValueError("the environments are closed")
        if not self._fresh and self._made is not None:
            self._collect([worker for worker in self._workers if worker.made and worker.busy])
            self._look()

    def _look(self) -> None:
        self._observation = self._seen.read(self._lost)
        seen = self._observation
        self._over |= seen.terminated | seen.truncated | seen.failed
        self._fresh = True

    def _do(self, command: Command, chosen: Array) -> None:
        """Have a command done, and read what is then observed."""
        self._fresh = False
        self._rows["chosen"] = chosen
        asked = [w for w in self._workers if w.made and chosen[w.share].any()]
        for worker in asked:
            limit = self._time_limit if worker.stepped else self._start_limit
            worker.deadline = time.monotonic() + limit
            worker.busy = True
            worker.ask(command)
        self._collect(asked)
        if command == "act":
            for worker in asked:
                worker.stepped = worker.made
            for index in [index for index in self._failures if chosen[index]]:
                if not self._lost[index]:
                    del self._failures[index]
        self._look()
        self._require_hope()

    def _start(self, worker: W) -> None:
        worker.made = worker.stepped = False
        worker.deadline = time.monotonic() + self._start_limit
        worker.busy = True
        worker.start()

    def _await_made(self, workers: Sequence[W]) -> None:
        """Wait until workers that were started have made their environments.

        Raises:
            RobolearnError: they cannot.
        """
        waiting = list(workers)
        while waiting:
            for worker, answer in self._answers(waiting):
                if isinstance(answer, Made):
                    self._welcome(worker, answer)
                elif isinstance(answer, RobolearnError) and self._made is None:
                    raise answer
                else:
                    self._replace(worker, str(answer))
            waiting = [worker for worker in waiting if not worker.made]
            self._require_hope()

    def _welcome(self, worker: W, made: Made) -> None:
        made = replace(made, context=replace(made.context, seed=None))
        if self._made is None:
            self._made = made
            self._rows = self._new_rows(row_type(made.context))
            self._seen = ObservationRows(self._rows, made.context.features)
        ours, theirs = self._made.context, made.context
        if (ours.features, ours.action) != (theirs.features, theirs.action):
            raise SimulationError(
                "the environments do not observe the same: are all workers of one version?"
            )
        self._attach(worker)
        worker.made = True

    def _collect(self, workers: Sequence[W]) -> None:
        """Take the answers to a command."""
        for worker, answer in self._answers(workers):
            if isinstance(answer, list):
                for row, reason in answer:
                    self._lose(worker.share.start + row, reason)
            else:
                self._replace(worker, str(answer))

    def _answers(self, workers: Sequence[W]) -> Iterator[tuple[W, Answer | WorkerLost]]:
        """Each of these busy workers with its answer, as they come."""
        waiting = list(workers)
        while waiting:
            deadline = min(worker.deadline for worker in waiting)
            answered = self._wait(waiting, max(0.0, deadline - time.monotonic()))
            for worker in answered:
                try:
                    answer: Answer | WorkerLost = worker.answer()
                except WorkerLost as error:
                    answer = error
                except BaseException:  # Ctrl-C in the middle of a message: the next one is garbled
                    worker.kill()
                    raise
                worker.busy = False
                waiting.remove(worker)
                yield worker, answer
            if answered:
                continue
            now = time.monotonic()
            for worker in [worker for worker in waiting if worker.deadline <= now]:
                worker.busy = False
                waiting.remove(worker)
                yield worker, WorkerLost("its worker gave no answer in time")

    def _replace(self, worker: W, reason: str) -> None:
        """Start a worker anew. Its episodes are lost."""
        worker.kill()
        for index in worker.indices:
            self._lose(index, reason)
        if not self._closed:  # by another thread
            self._start(worker)

    def _lose(self, index: int, reason: str) -> None:
        """An environment cannot go on; if it was in an episode, that is lost."""
        self._failures.setdefault(index, []).append(reason)
        if self._over[index]:
            return
        self._over[index] = self._lost[index] = True
        self._lost_episodes += 1
        _LOG.warning("the episode of environment %d is lost: %s", index, reason)
        if self._observation is None:
            self._rows[index] = np.zeros((), self._rows.dtype)
        else:  # the worker may have written half of a row
            last = replace(
                self._observation[index],
                reward=None,
                success=None,
                terminated=False,
                truncated=False,
                failed=False,
            )
            self._seen.write(index, last)

    def _require_hope(self) -> None:
        """Raise if an environment fails whenever it is tried."""
        for index, reasons in self._failures.items():
            if len(reasons) >= ATTEMPTS:
                raise SimulationError(
                    f"environment {index} failed {len(reasons)} times in a row: {reasons[0]}"
                )
