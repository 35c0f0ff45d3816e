"""How long `robolearn quickstart` takes and what its policy can do, with several seeds.

    python benchmarks/quickstart.py [--seeds 3]

Seeds are 1,000 apart, so that no demonstration is in two runs; the 50 evaluation episodes are the
same and none of their seeds is ever recorded. Writes benchmarks/results/quickstart.json and .png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt

from robolearn.learning.success import Evaluation, wilson_interval

RESULTS = Path(__file__).parent / "results"
SEEDS_APART = 1000
"""Demonstrations take a seed each, counted up from the quickstart's: none is in two runs."""
STEPS = ("record", "train", "evaluate", "view demonstrations", "view evaluation")


def quickstart(seed: int, out: Path) -> dict[str, object]:
    """One whole quickstart; the seconds of each step are read off when its line appears."""
    process = subprocess.Popen(
        [
            Path(sys.executable).parent / "robolearn",
            "quickstart",
            "--seed",
            str(seed),
            "--out",
            out,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    began = time.perf_counter()
    starts = [time.perf_counter() for line in process.stdout or () if re.match(r"\[\d/5\]", line)]
    if process.wait():
        raise SystemExit(f"the quickstart of seed {seed} failed")
    end = time.perf_counter()
    evaluation = Evaluation.read(out / "run" / "evaluation.json")
    seconds = [after - before for before, after in zip(starts, [*starts[1:], end], strict=True)]
    low, high = evaluation.interval
    return {
        "seed": seed,
        "total_s": round(end - began, 1),
        "steps_s": dict(zip(STEPS, (round(value, 1) for value in seconds), strict=True)),
        "successes": sum(evaluation.successes),
        "held_at_the_end": sum(evaluation.held),
        "episodes": len(evaluation.seeds),
        "evaluation_seeds": [evaluation.seeds[0], evaluation.seeds[-1]],
        "wilson_95": [round(low, 4), round(high, 4)],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    rows = []
    for seed in range(0, seeds * SEEDS_APART, SEEDS_APART):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(quickstart(seed, Path(folder) / "quickstart"))
        print(json.dumps(rows[-1]), flush=True)
    successes = sum(int(str(row["successes"])) for row in rows)
    episodes = sum(int(str(row["episodes"])) for row in rows)
    summary = {
        "machine": {"cores": len(os.sched_getaffinity(0)), "system": platform.platform()},
        "runs": rows,
        "all": {
            "successes": successes,
            "episodes": episodes,
            "wilson_95": [round(bound, 4) for bound in wilson_interval(successes, episodes)],
        },
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "quickstart.json").write_text(json.dumps(summary, indent=2) + "\n")
    figure, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
    for step in STEPS:
        left = [sum(list(row["steps_s"].values())[: STEPS.index(step)]) for row in rows]  # type: ignore[attr-defined]
        width = [row["steps_s"][step] for row in rows]  # type: ignore[index]
        axes.barh([f"seed {row['seed']}" for row in rows], width, left=left, label=step)
    axes.axvline(360, linestyle=":", color="black")
    axes.set_xlabel("seconds on two CPU cores (dotted: six minutes, the goal)")
    axes.legend(ncols=3, fontsize="small", loc="center right")
    figure.savefig(RESULTS / "quickstart.png", dpi=110)
    print(summary["all"])


if __name__ == "__main__":
    main()
