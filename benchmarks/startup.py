"""How long the command line takes to answer, beside LeRobot's, in turn.

    python benchmarks/startup.py

Writes benchmarks/results/startup.json and startup.png.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt

from robolearn.cli.main import COMMANDS

RESULTS = Path(__file__).parent / "results"
ROUNDS = 7
SCRIPTS = Path(sys.executable).parent

ANSWERS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "robolearn --help": [str(SCRIPTS / "robolearn"), "--help"],
    **{
        f"robolearn {name} --help": [str(SCRIPTS / "robolearn"), name, "--help"]
        for name in COMMANDS
    },
    "lerobot-record --help": [str(SCRIPTS / "lerobot-record"), "--help"],
    "lerobot-train --help": [str(SCRIPTS / "lerobot-train"), "--help"],
}


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, check=False)
    return time.perf_counter() - began


def main() -> None:
    for command in ANSWERS.values():  # warm the file cache
        seconds(command)
    times: dict[str, list[float]] = {name: [] for name in ANSWERS}
    for _ in range(ROUNDS):
        for name, command in ANSWERS.items():
            times[name].append(seconds(command))
    medians = {name: statistics.median(values) for name, values in times.items()}
    peer = medians["lerobot-record --help"]
    rows = {
        name: {
            "median_s": round(median, 3),
            "max_s": round(max(times[name]), 3),
            "lerobot_record_takes_times_as_long": round(peer / median, 1),
        }
        for name, median in medians.items()
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "startup.json").write_text(json.dumps({"rounds": ROUNDS, "answers": rows}, indent=2))
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    axes.barh(list(medians), list(medians.values()))
    axes.invert_yaxis()
    axes.set_xlabel(f"seconds, median of {ROUNDS} (dotted: the goals)")
    axes.axvline(0.3, linestyle=":", color="black")
    axes.axvline(1.0, linestyle=":", color="black")
    figure.savefig(RESULTS / "startup.png", dpi=110)
    for name, row in rows.items():
        print(f"{name:32} {row['median_s']:6.3f} s (max {row['max_s']:.3f})")


if __name__ == "__main__":
    main()
