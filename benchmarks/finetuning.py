"""From half right to right: policies cloned from few demonstrations practise in the simulator.

    python benchmarks/finetuning.py [--cases lift-10 lift-3 can stack] [--seeds 0 1 2]
                                    [--to runs/finetuning]

For each seed demonstrations are recorded with all variation (``robolearn record --variation all``,
other seeds for each), a policy is cloned from them (``robolearn train``), and it practises by
``robolearn finetune``, with no reward but what is learnt from the same demonstrations. Clone and
result are tried in 50 episodes on the evaluation seeds, on which nothing was chosen or trained. The
case ``lift-10 twice as long`` goes on to twice as many control steps, to see whether what was
reached is still there.

What is done is kept in --to: broken off, the same command goes on. It is kept whatever the defaults
have become since; what a run was done with stands in the results. Writes
benchmarks/results/finetuning.json and finetuning.png.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import subprocess
import sys
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sides import RESULTS

from robolearn.control.workers import available_cores
from robolearn.learning.finetuning.account import time_shares
from robolearn.learning.run import Run
from robolearn.learning.success import Evaluation, wilson_interval

CHECKOUT = Path(__file__).parents[1]
EPISODES = 50


@dataclass(frozen=True)
class Case:
    """What is practised.

    Attributes:
        task: where.
        demonstrations: that policy and reward learn from.
        cloning_steps: of the clone's training.
        steps: control steps of practice.
        goal: success rate that is asked of each seed.
        options: of ``robolearn finetune``.
    """

    task: str
    demonstrations: int
    cloning_steps: int
    steps: int
    goal: float
    options: tuple[str, ...] = ()


# On-policy, rollouts are used once: more to an iteration, and as many reward steps for each. What
# is tried is an average over fewer of these longer iterations: practice goes on from there.
LONGER = ("--episodes", "16", "--reward.discriminator.updates", "40", "--averaging", "30")
LIFT = Case("sim:lift", 10, 1000, 50_000, 0.95)
CASES = {
    "lift-10": LIFT,
    "lift-10 twice as long": Case("sim:lift", 10, 1000, 100_000, 0.95),
    "lift-3": Case(  # 240 steps in all
        "sim:lift", 3, 1000, 150_000, 0.85, ("--reward.discriminator.batch", "128")
    ),
    "can": Case("sim:can", 100, 5000, 150_000, 0.85),
    "stack": Case("sim:stack", 100, 5000, 150_000, 0.85),
    "lift-10 trpo": Case("sim:lift", 10, 1000, 200_000, 0.9, ("--update.method", "trpo", *LONGER)),
    "lift-10 ppo": Case("sim:lift", 10, 1000, 100_000, 0.9, ("--update.method", "ppo", *LONGER)),
}


def robolearn(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "robolearn", *map(str, arguments)], check=True)


def recorded(case: Case, seed: int, folder: Path) -> Path:
    """The demonstrations of a seed, recorded if they are not there."""
    root = folder / f"{case.task.removeprefix('sim:')}_{case.demonstrations}_{seed}"
    demos = root / "demos"
    if not demos.is_dir():
        count = ["--episodes", case.demonstrations, "--seed", 1000 * seed]
        robolearn("record", case.task, "--variation", "all", *count, "--to", demos)
    return demos


def evaluated(run: Path, task: str) -> dict[str, object]:
    if not Run(run).evaluation.is_file():
        # A clone would act by its mode, and what practised does not: both the same way.
        robolearn(
            *("evaluate", run, "--on", task, "--episodes", EPISODES, "--actions", "low-noise")
        )
    found = Evaluation.read(Run(run).evaluation)
    return {"successes": sum(found.successes), "held": sum(found.held), "episodes": EPISODES}


def outcome(case: Case, name: str, seed: int, folder: Path) -> dict[str, object]:
    """Of one seed, or as much of it as is not done yet."""
    demos = recorded(case, seed, folder)
    clone, run = demos.parent / "clone", demos.parent / name.replace(" ", "_")
    steps = ["--steps", case.cloning_steps, "--seed", seed]
    if not (clone / "policy").is_dir():
        resume = ["--resume"] if (clone / "config.toml").is_file() else []
        robolearn("train", demos, "--to", clone, *steps, *resume)
    if not (run / "policy").is_dir():
        resume = ["--resume"] if (run / "config.toml").is_file() else []
        practice = ["--steps", case.steps, "--seed", seed, *case.options, *resume]
        robolearn("finetune", clone, "--on", case.task, "--demos", demos, "--to", run, *practice)
    rows = Run(run).read_metrics()
    return {
        "seed": seed,
        "config": tomllib.loads(Run(run).config.read_text()),
        "clone": evaluated(clone, case.task),
        "practised": evaluated(run, case.task),
        "control_steps": rows[-1]["step"],
        "trials": [
            [row["step"], round(row["valid/success"], 4)] for row in rows if "valid/success" in row
        ],
        "seconds": round(sum(row["seconds/all"] for row in rows)),
        "time_shares": {name: round(share, 3) for name, share in time_shares(rows).items()},
    }


def summary(case: Case, runs: list[dict[str, object]]) -> dict[str, object]:
    table: dict[str, object] = {}
    for side in ("clone", "practised"):
        successes = sum(run[side]["successes"] for run in runs)
        episodes = sum(run[side]["episodes"] for run in runs)
        table[side] = {
            "successes": successes,
            "episodes": episodes,
            "wilson_95": [round(bound, 4) for bound in wilson_interval(successes, episodes)],
        }
    return {"case": asdict(case), **table, "runs": runs}


def keep(found: dict[str, dict[str, object]]) -> None:
    """What is known so far, as JSON and a picture."""
    machine = {"cores": available_cores(), "system": platform.platform()}
    file = RESULTS / "finetuning.json"
    file.write_text(json.dumps({"machine": machine, "cases": found}, indent=2) + "\n")
    lines = math.ceil(len(found) / 4)
    figure, panels = plt.subplots(
        lines, 4, figsize=(13, 3 * lines), sharey=True, squeeze=False, layout="constrained"
    )
    for axes in panels.flat[len(found) :]:
        axes.set_axis_off()
    for axes, (name, of) in zip(panels.flat, found.items(), strict=False):
        for run in of["runs"]:
            steps, successes = np.array(run["trials"]).T
            axes.plot(steps / 1000, 100 * successes, label=f"seed {run['seed']}")
        low, high = of["practised"]["wilson_95"]
        axes.axhspan(100 * low, 100 * high, color="0.85", label="evaluation, 95 %")
        axes.axhline(100 * of["case"]["goal"], linestyle=":", color="black")
        axes.set(title=name, xlabel="thousand control steps", ylim=(0, 102))
    for axes in panels[:, 0]:
        axes.set_ylabel("trials that succeed, %")
    panels[0][0].legend(fontsize="small")
    figure.savefig(file.with_suffix(".png"), dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--to", type=Path, default=CHECKOUT / "runs" / "finetuning")
    arguments = parser.parse_args()
    file = RESULTS / "finetuning.json"
    found = json.loads(file.read_text())["cases"] if file.is_file() else {}
    for name in arguments.cases:
        case = CASES[name]
        runs = []
        for seed in arguments.seeds:
            runs.append(outcome(case, name, seed, arguments.to))
            print(name, json.dumps(runs[-1] | {"trials": "in the file"}), flush=True)
            found[name] = summary(case, runs)
            keep(found)


if __name__ == "__main__":
    main()
