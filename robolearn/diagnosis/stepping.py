"""Whether robosuite's tasks can be simulated, and how fast. Run as a module, it tries."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterator

from robolearn.diagnosis.finding import Finding
from robolearn.diagnosis.trial import TrialFailed, try_out
from robolearn.errors import RobolearnError

_SECONDS = 180.0
"""Compiling anew takes half a minute on a slow machine."""
_STEPS = 50


def stepping() -> Iterator[Finding]:
    """One control step of Lift after the other."""
    try:
        result = try_out(__name__, _SECONDS)
    except TrialFailed as error:
        yield Finding(
            "simulation",
            "error",
            str(error),
            "robolearn record sim:lift --to /tmp/try --debug shows where",
        )
        return
    if missing := result.get("missing"):
        yield Finding("simulation", "missing", missing)
        return
    pace = f"a control step of Lift takes {result['step_ms']:.2f} ms, "
    pace += f"starting the simulator {result['made']:.1f} s"
    if not result["compiled"]:
        yield Finding(
            "simulation",
            "warning",
            f"{pace}; robosuite's own, slower code steps it",
            "robolearn record says why it does",
        )
    elif result["cached"]:
        yield Finding("simulation", "ok", f"{pace}; the compiled stepping was in its cache")
    else:
        first = f"{result['first']:.0f} s"
        yield Finding("simulation", "ok", f"{pace}; its stepping was compiled just now, in {first}")


def _try() -> dict[str, object]:
    import numpy as np

    from robolearn.environments.robosuite import RobosuiteEnvironment
    from robolearn.environments.task import load_task
    from robolearn.errors import MissingDependency

    began = time.perf_counter()
    try:
        environment = RobosuiteEnvironment(load_task("sim:lift"))
    except MissingDependency as error:
        return {"missing": str(error)}
    made = time.perf_counter() - began
    environment.reset(seed=0)
    action = np.zeros(environment.context.action.shape)
    times = []
    for _ in range(_STEPS):
        began = time.perf_counter()
        environment.act(action)
        times.append(time.perf_counter() - began)
    environment.close()

    from robolearn.environments.control_step import control_step

    return {
        "made": made,
        "first": times[0],
        "step_ms": 1e3 * statistics.median(times),
        "compiled": bool(control_step.signatures),
        "cached": bool(control_step.stats.cache_hits),
    }


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{json.dumps(_try())}\n")
    except RobolearnError as error:
        sys.exit(str(error))
