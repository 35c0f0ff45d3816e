"""Environments on the machines of a Ray cluster."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from robolearn.control.environment_rows import row_type
from robolearn.control.environment_share import (
    Command,
    EnvironmentShare,
    Failures,
    MakeEnvironment,
    error_of,
)
from robolearn.control.worker_environments import (
    Answer,
    Made,
    Worker,
    WorkerEnvironments,
    WorkerLost,
    shares,
)
from robolearn.control.workers import ONE_THREAD
from robolearn.episodes.frames import Array
from robolearn.errors import MissingDependency, RobolearnError, SimulationError


class RayEnvironments(WorkerEnvironments["RayWorker"]):
    """N environments in W actors, spread over the nodes of a Ray cluster.

    The cluster is the one that this process is connected to by ``ray.init``; otherwise the one that
    the variable ``RAY_ADDRESS`` names; otherwise one that is started on this machine. robolearn has
    to be installed on each node, in the same version. `close` ends the actors and leaves Ray as it
    is.

    An actor asks for one core. One that takes the place of a lost actor asks for none, so that the
    nodes that are left take it even if they are full.

    Args:
        make_environment: makes one; called in the actors. Picklable, such as
            ``partial(RobosuiteEnvironment, task)``.
        count: N, how many environments.
        actors: W, at most N. Each steps its share of the environments one after the other. A step
            costs about a millisecond for the way there and back, so give each several environments.
        time_limit: seconds in which an actor has to reset or step all environments of its share;
            one that does not is replaced.
        start_limit: seconds in which a new actor has to find a node and make its environments, and
            as many for its first step, for which a simulator may be compiled.

    Raises:
        MissingDependency: Ray is not installed.
        RobolearnError: the environments cannot be made: what making one raised, or that an actor
            died again and again.
        ValueError: there are fewer environments than actors, or none.
    """

    def __init__(
        self,
        make_environment: MakeEnvironment,
        count: int,
        actors: int,
        *,
        time_limit: float = 60.0,
        start_limit: float = 300.0,
    ) -> None:
        self._ray = _connected_ray()
        workers = [RayWorker(self._ray, make_environment, share) for share in shares(count, actors)]
        super().__init__(workers, time_limit, start_limit)

    def _new_rows(self, row: np.dtype[Any]) -> Array:
        return np.zeros(self._count, row)

    def _attach(self, worker: RayWorker) -> None:
        worker.rows = self._rows[worker.share]

    def _wait(self, workers: list[RayWorker], seconds: float) -> Sequence[RayWorker]:
        ended = [worker for worker in workers if worker.reply is None]
        if ended:
            return ended
        replies = {worker.reply: worker for worker in workers}
        ready, _ = self._ray.wait(list(replies), num_returns=1, timeout=seconds)
        return [replies[reply] for reply in ready]


class RayWorker(Worker):
    """One actor.

    Args:
        ray: the module, connected to a cluster.
        make_environment: makes an environment.
        share: which rows.

    Attributes:
        reply: Ray's reference to its next answer; None when there is no actor.
        rows: its share of the rows.
    """

    def __init__(self, ray: Any, make_environment: MakeEnvironment, share: slice) -> None:
        super().__init__(share)
        self._ray = ray
        self._make_environment = make_environment
        self._actor: Any = None
        self._cores = 1
        self.reply: Any = None
        self.rows: Array = np.zeros(0)

    def start(self) -> None:
        kind = self._ray.remote(_Actor).options(
            num_cpus=self._cores,
            scheduling_strategy="SPREAD",
            max_restarts=0,  # what it held would be gone, and nobody would know
        )
        self._cores = 0
        self._actor = kind.remote()
        self.reply = self._actor.make.remote(self._make_environment, len(self.indices))

    def ask(self, command: Command) -> None:
        if self._actor is not None:
            rows = self.rows
            told = (rows["chosen"].copy(), rows["seed"].copy(), rows["action"].copy())
            self.reply = self._actor.do.remote(command, *told)

    def answer(self) -> Answer:
        if self.reply is None:
            raise WorkerLost("its actor was stopped")
        try:
            answer = self._ray.get(self.reply)
        except self._ray.exceptions.RayTaskError as error:  # what it is asked is not known there
            return SimulationError(f"an actor failed: {str(error.cause).splitlines()[0]}")
        except self._ray.exceptions.RayError as error:
            raise WorkerLost(f"its actor ended: {str(error).splitlines()[0]}") from error
        if isinstance(answer, Made | RobolearnError):
            return answer
        failures: Failures
        failures, written = answer
        self.rows[self.rows["chosen"]] = written
        return failures

    def close(self) -> None:
        if self._actor is not None and self._ray.is_initialized():
            self.reply = self._actor.close.remote()

    def await_end(self, deadline: float) -> None:
        if self.reply is not None and self._ray.is_initialized():
            self._ray.wait([self.reply], timeout=max(0.0, deadline - time.monotonic()))

    def kill(self) -> None:
        actor, self._actor, self.reply = self._actor, None, None
        if actor is not None and self._ray.is_initialized():
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.kill(actor)


class _Actor:
    """What lives on a node."""

    def __init__(self) -> None:
        for name, threads in ONE_THREAD.items():
            os.environ.setdefault(name, threads)
        self._environments: EnvironmentShare | None = None
        self._rows: Array = np.zeros(0)

    def make(self, make_environment: MakeEnvironment, count: int) -> Made | RobolearnError:
        try:
            environments = EnvironmentShare(make_environment, count)
        except Exception as error:  # whatever a simulator raises
            return error_of(error)
        self._environments = environments
        self._rows = np.zeros(count, row_type(environments.context))
        environments.attach(self._rows)
        return Made(environments.context, environments.horizon)

    def do(
        self, command: Command, chosen: Array, seeds: Array, actions: Array
    ) -> tuple[Failures, Array]:
        rows = self._rows
        rows["chosen"], rows["seed"], rows["action"] = chosen, seeds, actions
        if self._environments is None:
            raise RuntimeError("the actor has no environments")
        return self._environments.do(command), rows[chosen]

    def close(self) -> None:
        if self._environments is not None:
            self._environments.close()


def _connected_ray() -> Any:
    """The module, connected to a cluster.

    Raises:
        MissingDependency: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingDependency(
            f"environments on other machines need Ray: pip install 'robolearn[cluster]' ({error})"
        ) from error
    if not ray.is_initialized():
        ray.init(include_dashboard=False, logging_level=logging.WARNING)
    return ray
