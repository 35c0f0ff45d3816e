"""Environments in worker processes on this machine, with observations in shared memory."""

from __future__ import annotations

import contextlib
import mmap
import multiprocessing
import os
import select
import signal
import tempfile
import time
from collections.abc import Sequence
from multiprocessing import reduction, util
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import IO, Any

import numpy as np

from robolearn.control.environment_rows import row_type
from robolearn.control.environment_share import (
    Command,
    EnvironmentShare,
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
from robolearn.control.workers import end_with, starting_workers
from robolearn.episodes.frames import Array


class ProcessEnvironments(WorkerEnvironments["ProcessWorker"]):
    """N environments in W worker processes.

    The processes are spawned: a script that makes this needs ``if __name__ == "__main__":``. They
    never see Ctrl-C, end when this process does, even if it is killed, and share memory with it
    that has no name: nothing of them can stay behind.

    Args:
        make_environment: makes one; called in the workers. Picklable, such as
            ``partial(RobosuiteEnvironment, task)``.
        count: N, how many environments.
        processes: W, at most N; as many as there are cores is best. Each steps its share of the
            environments one after the other.
        time_limit: seconds in which a worker has to reset or step all environments of its share;
            one that does not is replaced.
        start_limit: seconds in which a new worker has to make its environments, and as many for its
            first step, for which a simulator may be compiled.

    Raises:
        RobolearnError: the environments cannot be made: what making one raised, or that a worker
            died again and again.
        ValueError: there are fewer environments than processes, or none.
    """

    def __init__(
        self,
        make_environment: MakeEnvironment,
        count: int,
        processes: int,
        *,
        time_limit: float = 60.0,
        start_limit: float = 300.0,
    ) -> None:
        workers = [
            ProcessWorker(make_environment, share, count) for share in shares(count, processes)
        ]
        self._files: list[IO[bytes]] = []
        # Where this is never closed: at the end of the program, before that waits for processes.
        self._free = util.Finalize(self, _free, args=(workers, self._files), exitpriority=10)
        super().__init__(workers, time_limit, start_limit)

    def _new_rows(self, row: np.dtype[Any]) -> Array:
        file = _nameless_file(self._count * row.itemsize)
        self._files.append(file)
        return _rows(file.fileno(), row, self._count)

    def _attach(self, worker: ProcessWorker) -> None:
        worker.attach(self._files[0].fileno())

    def _end(self) -> None:
        super()._end()
        self._free()

    def _wait(self, workers: list[ProcessWorker], seconds: float) -> Sequence[ProcessWorker]:
        ended = [worker for worker in workers if worker.connection is None]
        if ended:
            return ended
        poll = select.poll()
        by_file = {}
        for worker in workers:
            if worker.connection is not None:
                by_file[worker.connection.fileno()] = worker
                poll.register(worker.connection, select.POLLIN)
        return [by_file[file] for file, _ in poll.poll(seconds * 1e3)]


class ProcessWorker(Worker):
    """One worker process.

    Args:
        make_environment: makes an environment.
        share: which rows.
        count: of all rows.

    Attributes:
        connection: what it is talked to by; None when there is no process.
    """

    def __init__(self, make_environment: MakeEnvironment, share: slice, count: int) -> None:
        super().__init__(share)
        self._make_environment = make_environment
        self._count = count
        self._process: SpawnProcess | None = None
        self._alive: Connection | None = None
        self.connection: Connection | None = None

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        parent, self._alive = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_serve,
            args=(self._make_environment, self.share, self._count, theirs, parent),
            daemon=True,
        )
        with theirs, parent, starting_workers():
            self._process.start()

    def attach(self, file: int) -> None:
        """Let the process use the file of the shared memory."""
        if self.connection is not None and self._process is not None and self._process.pid:
            with contextlib.suppress(OSError):  # it has ended, which is seen when it is asked
                reduction.send_handle(self.connection, file, self._process.pid)

    def ask(self, command: Command) -> None:
        self._tell(command)

    def answer(self) -> Answer:
        if self.connection is None:
            raise WorkerLost("its worker process was stopped")
        try:
            answer: Answer = self.connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerLost(self._how_it_ended()) from error
        return answer

    def close(self) -> None:
        self._tell("close")

    def await_end(self, deadline: float) -> None:
        if self._process is not None:
            self._process.join(max(0.0, deadline - time.monotonic()))

    def kill(self) -> None:
        for end in (self.connection, self._alive):
            if end is not None:
                end.close()
        self.connection = self._alive = None
        if self._process is not None and self._process.pid is not None:
            self._process.kill()
            self._process.join()
        self._process = None

    def _tell(self, message: str) -> None:
        if self.connection is not None:
            with contextlib.suppress(OSError):
                self.connection.send(message)

    def _how_it_ended(self) -> str:
        status = None
        if self._process is not None:
            self._process.join(1.0)
            status = self._process.exitcode
        if status is None:
            return "its worker process closed its connection"
        if status < 0:
            hint = " (out of memory?)" if -status == signal.SIGKILL else ""
            return f"its worker process was killed by {signal.Signals(-status).name}{hint}"
        return f"its worker process ended with exit status {status}"


def _serve(
    make_environment: MakeEnvironment,
    share: slice,
    count: int,
    connection: Connection,
    parent: Connection,
) -> None:
    """Runs in the worker process."""
    end_with(parent)
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        try:
            environments = EnvironmentShare(make_environment, share.stop - share.start)
        except Exception as error:  # whatever a simulator raises
            connection.send(error_of(error))
            return
        with contextlib.closing(environments):
            connection.send(Made(environments.context, environments.horizon))
            file = reduction.recv_handle(connection)
            environments.attach(_rows(file, row_type(environments.context), count)[share])
            os.close(file)
            while (command := connection.recv()) != "close":
                connection.send(environments.do(command))


def _nameless_file(size: int) -> IO[bytes]:
    """A file of zeros in memory, which is gone when the last process that has it is."""
    if hasattr(os, "memfd_create"):
        file: IO[bytes] = os.fdopen(os.memfd_create("robolearn"), "r+b")
    else:
        file = tempfile.TemporaryFile()  # noqa: SIM115  the caller keeps it open
    file.truncate(size)
    return file


def _rows(file: int, row: np.dtype[Any], count: int) -> Array:
    """(N,) rows in the shared memory."""
    return np.frombuffer(mmap.mmap(file, count * row.itemsize), row)


def _free(workers: Sequence[ProcessWorker], files: Sequence[IO[bytes]]) -> None:
    for worker in workers:
        worker.kill()
    for file in files:
        file.close()
