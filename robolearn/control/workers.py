"""Jobs in several processes at once, with results in order."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, ExitStack, contextmanager
from multiprocessing import resource_tracker
from typing import Any

from robolearn.errors import SimulationError

type MakeWorker[Job, Result] = Callable[[], AbstractContextManager[Callable[[Job], Result]]]


def available_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_in_order[Job, Result](
    make_worker: MakeWorker[Job, Result], jobs: Iterable[Job], processes: int
) -> Generator[Result]:
    """Do jobs in worker processes and yield the results in the order of the jobs.

    Each process makes one worker, before its first job. At most two jobs a process are under way:
    so the jobs may be endless. A caller that stops early, or is stopped, waits for none of them.

    Args:
        make_worker: gives the function that does a job. Picklable.
        jobs: picklable.
        processes: how many; 1 does the jobs in this process.

    Raises:
        SimulationError: a worker process died.
        Exception: whatever making the worker or a job raised.
    """
    if processes == 1:
        with make_worker() as work:
            yield from map(work, jobs)
        return
    context = multiprocessing.get_context("spawn")
    stopped, stop = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(processes, context, _remember, (make_worker, stopped))
    pending: list[Future[Result]] = []
    waiting = iter(jobs)
    try:
        while True:
            while len(pending) < 2 * processes and (job := next(waiting, _END)) is not _END:
                with starting_workers():
                    pending.append(pool.submit(_do, job))
            if not pending:
                return
            yield pending.pop(0).result()
    except BrokenProcessPool as error:
        raise SimulationError(
            "a worker process died (out of memory, or killed); what was finished before is kept"
        ) from error
    finally:
        if pending:  # nobody wants them any more: the workers end in the middle of their jobs
            stop.close()
        pool.shutdown(wait=True, cancel_futures=True)
        stop.close()
        stopped.close()


ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "LP_NUM_THREADS": "1",  # Mesa's rendering in software
}
"""What makes libraries in a worker process leave the other cores to the other workers."""


@contextmanager
def starting_workers() -> Iterator[None]:
    """Start worker processes in here, by ``spawn``.

    They never see a terminal's Ctrl-C: the parent decides. Libraries in them use one thread each,
    where the user's variables do not say otherwise.
    """
    # Starting the tracker, which multiprocessing would do now, lets Ctrl-C through again.
    resource_tracker.ensure_running()
    added = [name for name in ONE_THREAD if name not in os.environ]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ.update({name: ONE_THREAD[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with(parent: multiprocessing.connection.Connection) -> None:
    """In a worker process: end at once when the parent closes its end, or is killed.

    Args:
        parent: the reading end of a pipe that nothing is ever written to.
    """
    threading.Thread(target=_end_when_closed, args=(parent,), daemon=True).start()


def _end_when_closed(parent: multiprocessing.connection.Connection) -> None:
    multiprocessing.connection.wait([parent])
    os._exit(1)


_END: Any = object()
_make_worker: MakeWorker[Any, Any] | None = None
_worker: Callable[[Any], Any] | None = None
_until_exit = ExitStack()


def _remember(
    make_worker: MakeWorker[Any, Any], stopped: multiprocessing.connection.Connection
) -> None:
    global _make_worker  # noqa: PLW0603  a process has one, from its start to its end
    _make_worker = make_worker
    end_with(stopped)


def _do(job: Any) -> Any:
    """Runs in a worker process, and makes the worker: from here, errors reach the parent."""
    global _worker  # noqa: PLW0603  a process has one, from its first job to its end
    if _worker is None:
        if _make_worker is None:
            raise RuntimeError("the process was started without a worker")
        _worker = _until_exit.enter_context(_make_worker())
    return _worker(job)
