"""Sides of a comparison, each in a process of its own, which take turns at being timed.

A script that compares is started once more for each side, as ``python SCRIPT --side NAME --data
FOLDER``; there it hands its `Side` to `serve`. Only one side works at a time.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

RESULTS = Path(__file__).parent / "results"
PEERS = Path(__file__).parents[1] / ".peers"


@dataclass(frozen=True)
class Side:
    """What is timed.

    Attributes:
        batches: begins anew; each item is a batch of ``batch`` windows.
        batch: windows in each.
        timed: batches in one round.
        ready: batches before that, which are not timed: what begins anew has caches to fill.
        sample: the values of one window that all sides know, to see that they serve the same.
    """

    batches: Callable[[], Iterator[object]]
    batch: int
    timed: int
    ready: int = 3
    sample: Callable[[], Any] | None = None

    def windows_per_second(self) -> float:
        batches = self.batches()
        for _ in itertools.islice(batches, self.ready):
            pass
        began = time.perf_counter()
        count = sum(1 for _ in itertools.islice(batches, self.timed))
        return self.batch * count / (time.perf_counter() - began)


def serve(make: Callable[[], Side]) -> None:
    """In the process of a side: make it, then answer what is asked on standard input."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints is no answer
    side = make()
    print(json.dumps("ready"), file=answers)
    for line in sys.stdin:
        if line.strip() == "sample":
            sample = side.sample and side.sample()
            print(json.dumps(None if sample is None else np.asarray(sample).tolist()), file=answers)
        else:
            print(json.dumps(side.windows_per_second()), file=answers)


def compare(
    script: Path, names: Sequence[str], data: Path, rounds: int, tolerance: float = 1e-6
) -> dict[str, list[float]]:
    """Windows a second of each side in each round, the sides in turn.

    Args:
        script: that serves the sides.
        names: of them.
        data: folder with what they read.
        rounds: how often each is timed.
        tolerance: mean difference between their samples that is let pass.

    Raises:
        SystemExit: a side failed, or does not serve the same windows.
    """
    environment = os.environ | {
        "HF_HOME": str(data / "hf"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }
    processes: dict[str, subprocess.Popen[str]] = {}
    try:
        for name in names:
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", script, "--side", name, "--data", data],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=(data / f"{name}.log").open("w"),
                text=True,
                env=environment | ({"PYTHONPATH": str(PEERS)} if "robomimic" in name else {}),
            )
            processes[name] = process
            _answer(name, process)
        samples = {name: _ask(name, process, "sample") for name, process in processes.items()}
        known = {name: np.array(sample) for name, sample in samples.items() if sample is not None}
        first = next(iter(known))
        for name, sample in known.items():
            if np.abs(sample - known[first]).mean() > tolerance:
                raise SystemExit(f"{name} does not serve the same window as {first}")
        speeds: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(rounds):
            order = list(names) if turn % 2 == 0 else list(reversed(names))
            for name in order:
                speeds[name].append(float(_ask(name, processes[name], "time")))
            print(f"round {turn + 1} of {rounds}", flush=True)
        return speeds
    finally:
        for process in processes.values():
            process.kill()


def _ask(name: str, process: subprocess.Popen[str], question: str) -> Any:
    assert process.stdin is not None
    process.stdin.write(f"{question}\n")
    process.stdin.flush()
    return _answer(name, process)


def _answer(name: str, process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"{name} failed; see {name}.log in the folder of the data")
    return json.loads(line)


def report(
    name: str,
    title: str,
    speeds: Mapping[str, list[float]],
    ours: str,
    goals: Mapping[str, float],
    notes: Mapping[str, object],
) -> None:
    """Keep medians, ratios and a plot.

    Args:
        name: of the files among the results.
        title: of the plot.
        speeds: what `compare` gave.
        ours: the side that the others are compared with.
        goals: how many times as fast as a side it must be.
        notes: what else the figures depend on.
    """
    medians = {side: statistics.median(values) for side, values in speeds.items()}
    ratios = {
        side: statistics.median(
            mine / theirs for mine, theirs in zip(speeds[ours], values, strict=True)
        )
        for side, values in speeds.items()
    }
    rows = {
        side: {
            "median_windows_per_s": round(medians[side], 1),
            "slowest": round(min(values), 1),
            "fastest": round(max(values), 1),
            "ours_is_times_as_fast": round(ratios[side], 3),
            **({"goal": goals[side], "met": ratios[side] >= goals[side]} if side in goals else {}),
        }
        for side, values in speeds.items()
    }
    machine = {"cores": len(os.sched_getaffinity(0)), "system": platform.platform()}
    summary = {
        "machine": machine,
        **notes,
        "rounds": len(speeds[ours]),
        "compared": ours,
        "sides": rows,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(summary, indent=2) + "\n")
    figure, axes = plt.subplots(figsize=(8, 0.5 + 0.36 * len(medians)), layout="constrained")
    bars = axes.barh(
        list(medians),
        list(medians.values()),
        color=["C0" if side.startswith("robolearn") else "C7" for side in medians],
    )
    axes.bar_label(
        bars, [f"{value:,.0f}" for value in medians.values()], padding=3, fontsize="small"
    )
    axes.set_xscale("log")
    axes.set_xlim(min(medians.values()) / 3, max(medians.values()) * 8)
    axes.invert_yaxis()
    axes.set_xlabel(f"{title}: windows a second, median of {len(speeds[ours])} rounds")
    figure.savefig(RESULTS / f"{name}.png", dpi=110)
    for side, row in rows.items():
        goal = f" (goal {row['goal']})" if "goal" in row else ""
        print(
            f"{side:34} {row['median_windows_per_s']:>12,.0f}/s"
            f"  {row['ours_is_times_as_fast']:>10.2f}×{goal}"
        )
