"""Success of policies cloned by robolearn and by robomimic 0.3.0 from the same demonstrations.

    python benchmarks/cloning.py [--tasks lift can square] [--sides robomimic robolearn]
                                 [--seeds 0 1 2] [--steps 2000] [--data runs/cloning]

For each task 200 scripted demonstrations are recorded with all variation (``robolearn record
sim:lift --episodes 200 --variation all``; those that fail are not kept) and put into one HDF5 file,
of whose split ``train``, 180 episodes, both sides learn. The policy is the same: observations, LSTM
of 2×400 over ten frames, mixture of five Gaussians, batch of 100 windows (`clones.py`), the number
of steps, and the actions, which are the environment's own. robomimic's is BC-RNN-GMM as published
for low-dimensional observations, its low-noise evaluation included, but for the learning rate: the
published 1e-4 is meant for a hundred times as many steps. robolearn's is as ``robolearn train`` has
it by default, without dropout, and acts by the mode.

What is tried is the last checkpoint, in robolearn's simulator, on seeds from 1,000,000 on. An
episode succeeds if the task is accomplished at some step of the task's horizon. Each result is kept
as soon as it is there, and what is there is not done again: a benchmark that was broken off goes
on.
Writes benchmarks/results/cloning.json and cloning.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib.pyplot as plt
import numpy as np
import torch
from clones import BATCH, RobomimicCloning, robolearn_config

from robolearn.agents.agent import Agent
from robolearn.agents.policy import PolicyAgent
from robolearn.control.loop import run_episode
from robolearn.control.seeds import FIRST_EVALUATION_SEED
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import load_task
from robolearn.episodes.formats import open_dataset
from robolearn.folders import write_file
from robolearn.learning.cloning import clone
from robolearn.learning.run import Run
from robolearn.learning.success import wilson_interval

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TASKS = ("lift", "can", "square")
DEMONSTRATIONS = 200
EPISODES = 50
LEARNING_RATES = {"robolearn": 1e-3, "robomimic": 1e-3}
EPOCH = 100
"""Steps of robomimic's epochs, as published."""


def demonstrations(task: str, folder: Path) -> Path:
    """The HDF5 file of a task, which is recorded if it is not there."""
    recorded, file = folder / f"demos_{task}", folder / f"demos_{task}.hdf5"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        episodes = len(open_dataset(recorded)) if recorded.is_dir() else 0
        record = ["record", f"sim:{task}", "--variation", "all", "--to", recorded]
        if episodes < DEMONSTRATIONS:
            _robolearn(*record, "--episodes", DEMONSTRATIONS - episodes)
        _robolearn("convert", recorded, file)
    return file


def _robolearn(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "robolearn", *map(str, arguments)], check=True)


def robomimic_agent(file: Path, steps: int, seed: int) -> Agent:
    side = RobomimicCloning(file, "rnn", LEARNING_RATES["robomimic"], seed)
    done = 0
    while done < steps:
        epoch = min(EPOCH, steps - done)
        log = side.train(epoch)
        done += epoch
        print(f"robomimic, step {done} of {steps}: loss {log['Loss']:.3f}", flush=True)
    return side.agent()


def robolearn_agent(file: Path, steps: int, seed: int) -> Agent:
    config = robolearn_config("rnn", steps, LEARNING_RATES["robolearn"], seed)
    dataset = open_dataset(file)
    with (
        tempfile.TemporaryDirectory() as folder,
        Run.train(Path(folder) / "run", config, dataset, resume=False) as run,
    ):
        policy = clone(
            dataset,
            run,
            config,
            lambda done, steps, loss: print(
                f"robolearn, step {done} of {steps}: {loss}", flush=True
            ),
        )
    return PolicyAgent(policy, dataset.context.task)


SIDES: dict[str, Callable[[Path, int, int], Agent]] = {
    "robomimic": robomimic_agent,
    "robolearn": robolearn_agent,
}


def result_of(task: str, side: str, seed: int, file: Path, steps: int) -> dict[str, Any]:
    began, used = time.perf_counter(), time.process_time()
    agent = SIDES[side](file, steps, seed)
    trained, used = time.perf_counter() - began, time.process_time() - used
    environment = RobosuiteEnvironment(load_task(f"sim:{task}"))
    seeds = range(FIRST_EVALUATION_SEED, FIRST_EVALUATION_SEED + EPISODES)
    outcomes = [run_episode(environment, agent, seed=number) for number in seeds]
    environment.close()
    return {
        "successes": sum(bool(outcome.success) for outcome in outcomes),
        "held_at_the_end": sum(bool(outcome.success_at_end) for outcome in outcomes),
        "episodes": EPISODES,
        "training_seconds": round(trained, 1),
        "training_processor_seconds": round(used, 1),
        "evaluation_seconds": round(time.perf_counter() - began - trained, 1),
    }


def summary(results: dict[str, Any]) -> list[dict[str, Any]]:
    """All seeds of a side together."""
    rows = []
    for task, sides in results.items():
        for side, seeds in sides.items():
            successes = sum(each["successes"] for each in seeds.values())
            episodes = sum(each["episodes"] for each in seeds.values())
            low, high = wilson_interval(successes, episodes)
            rows.append(
                {
                    "task": task,
                    "side": side,
                    "seeds": len(seeds),
                    "successes": successes,
                    "episodes": episodes,
                    "rate": round(successes / episodes, 4),
                    "wilson_95": [round(low, 4), round(high, 4)],
                }
            )
    return rows


def keep(file: Path, settings: dict[str, Any], results: dict[str, Any]) -> None:
    ordered = {
        task: {
            side: dict(sorted(results[task][side].items()))
            for side in SIDES
            if side in results[task]
        }
        for task in TASKS
        if task in results
    }
    rows = summary(ordered)
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "torch": torch.__version__}
    content = {"machine": machine, "settings": settings, "table": rows, "results": ordered}
    write_file(file, json.dumps(content, indent=2) + "\n")
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    shades = {"robolearn": "C0", "robomimic": "C7"}
    for place, side in enumerate(SIDES):
        found = [row for row in rows if row["side"] == side]
        if not found:
            continue
        rates = np.array([row["rate"] for row in found])
        ends = np.array([row["wilson_95"] for row in found])
        spots = np.array([TASKS.index(row["task"]) for row in found]) + 0.4 * (place - 0.5)
        bars = axes.bar(
            spots,
            100 * rates,
            0.38,
            yerr=100 * np.abs(ends.T - rates),
            capsize=3,
            ecolor="0.3",
            color=shades[side],
            label=side,
        )
        counts = [f"{row['successes']} of {row['episodes']}" for row in found]
        axes.bar_label(bars, counts, label_type="center", fontsize="small")
    axes.set_xticks(range(len(TASKS)), TASKS)
    axes.set(xlim=(-0.5, len(TASKS) - 0.5), ylim=(0, 102), ylabel="episodes that succeed, %")
    axes.set_title(f"{settings['steps']:,} training steps, 95 % Wilson intervals", fontsize="small")
    axes.legend()
    figure.savefig(file.with_suffix(".png"), dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--data", type=Path, default=ROOT / "runs" / "cloning")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    file = RESULTS / "cloning.json"
    settings = {
        "steps": arguments.steps,
        "batch": BATCH,
        "learning_rates": LEARNING_RATES,
        "demonstrations": DEMONSTRATIONS,
        "first_evaluation_seed": FIRST_EVALUATION_SEED,
    }
    before = json.loads(file.read_text()) if file.is_file() else {"settings": settings}
    if before["settings"] != settings:
        raise SystemExit(f"{file} is of other settings: {before['settings']}; remove it")
    results: dict[str, Any] = before.get("results", {})
    for seed in arguments.seeds:
        for task in arguments.tasks:
            for side in arguments.sides:
                if str(seed) in results.get(task, {}).get(side, {}):
                    continue
                found = result_of(
                    task, side, seed, demonstrations(task, arguments.data), arguments.steps
                )
                print(task, side, seed, json.dumps(found), flush=True)
                results.setdefault(task, {}).setdefault(side, {})[str(seed)] = found
                keep(file, settings, results)


if __name__ == "__main__":
    main()
