from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from robolearn.control.workers import run_in_order
from robolearn.errors import DatasetError, SimulationError


@contextmanager
def doubler() -> Iterator[Callable[[int], int]]:
    made_in = os.getpid()

    def double(job: int) -> int:
        if job == 13:
            raise DatasetError("thirteen")
        if job == 14:
            os.kill(os.getpid(), signal.SIGKILL)
        assert os.getpid() == made_in
        return 2 * job

    yield double


@contextmanager
def broken() -> Iterator[Callable[[int], int]]:
    raise DatasetError("cannot be made")
    yield lambda job: job


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_order_and_jobs_may_be_endless(processes: int) -> None:
    with closing(run_in_order(doubler, itertools.count(20), processes)) as results:
        assert list(itertools.islice(results, 8)) == [2 * job for job in range(20, 28)]


@pytest.mark.parametrize("processes", [1, 2])
def test_errors_of_a_job_and_of_making_the_worker_reach_the_caller(processes: int) -> None:
    with pytest.raises(DatasetError, match="thirteen"):
        list(run_in_order(doubler, range(10, 16), processes))
    with pytest.raises(DatasetError, match="cannot be made"):
        list(run_in_order(broken, range(3), processes))


def test_a_worker_that_dies_is_told_of() -> None:
    with pytest.raises(SimulationError, match="worker process died"):
        list(run_in_order(doubler, [1, 14, 2], 2))
