"""What each auxiliary loss is worth to a policy that sees images.

    python benchmarks/auxiliary_losses.py [--seeds 0 1 2] [--losses none object_pose]
                                          [--steps 1500] [--data runs/auxiliary]

Lift from one camera of 84×84 pixels and the arm's own state; the cube's place is to be seen in the
image. 60 scripted demonstrations are recorded with all variation. Policies differ in one auxiliary
loss, with weight 1, and in nothing else: the small network of three convolutions, two frames, a
mixture of Gaussians. The last checkpoint is tried in 50 episodes on seeds that no demonstration
has. Each result is kept as soon as it is there, and what is there is not done again: a benchmark
that was broken off goes on.
Writes benchmarks/results/auxiliary_losses.json and auxiliary_losses.png.
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
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch

from robolearn.control.seeds import FIRST_EVALUATION_SEED
from robolearn.control.workers import available_cores
from robolearn.environments.task import load_task
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.folders import write_file
from robolearn.learning.cloning import clone
from robolearn.learning.config import CloningConfig
from robolearn.learning.evaluation import evaluate
from robolearn.learning.run import Run
from robolearn.learning.success import wilson_interval
from robolearn.policies.auxiliary.config import AuxiliaryConfig
from robolearn.policies.config import PolicyConfig
from robolearn.policies.memory.config import MemoryConfig

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "auxiliary_losses.json"
CAMERA = "agentview"
PIXELS = 84
INPUTS = (
    f"observation.images.{CAMERA}",
    "observation.state.robot0_eef_pos",
    "observation.state.robot0_eef_quat",
    "observation.state.robot0_gripper_qpos",
)
ALONE = ("arm_pose", "final_pose", "object_pose", "next_observation", "inverse_dynamics")
LOSSES = {"none": (), **{name: (name,) for name in ALONE}, "all": ALONE}
DEMONSTRATIONS = 60
EPISODES = 50


def demonstrations(folder: Path) -> Path:
    """Recorded if they are not there."""
    recorded = folder / "demos"
    missing = DEMONSTRATIONS - (len(open_dataset(recorded)) if recorded.is_dir() else 0)
    if missing > 0:
        command = [sys.executable, "-m", "robolearn", "record", "sim:lift", "--to", recorded]
        command += ["--cameras", CAMERA, "--camera-height", PIXELS, "--camera-width", PIXELS]
        command += ["--episodes", missing, "--variation", "all"]
        subprocess.run([*map(str, command)], check=True)
    return recorded


def config_of(losses: tuple[str, ...], steps: int, seed: int) -> CloningConfig:
    return CloningConfig(
        policy=PolicyConfig(
            inputs=INPUTS,
            memory=MemoryConfig(history=2, dropout=0.1),
            auxiliary=AuxiliaryConfig(**dict.fromkeys(losses, 1.0)),
        ),
        steps=steps,
        batch=64,
        checkpoint_every=10**9,
        seed=seed,
    )


def result_of(name: str, seed: int, data: Path, steps: int, processes: int) -> dict[str, Any]:
    task = load_task("sim:lift").with_cameras((CAMERA,), PIXELS, PIXELS, "fast")
    dataset = open_dataset(data)
    config = config_of(LOSSES[name], steps, seed)
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        Run.train(Path(folder) / "run", config, dataset, resume=False) as run,
    ):
        clone(dataset, run, config, lambda done, total, loss: print(f"{name} {done}: {loss}"))
        trained = time.perf_counter() - began
        losses = run.read_metrics()[-1]
        with FolderWriter(Path(folder) / "episodes") as record:
            evaluation = evaluate(
                run.policy,
                task,
                "sim:lift",
                EPISODES,
                FIRST_EVALUATION_SEED,
                processes,
                record,
                lambda *_: None,
            )
    return {
        "successes": sum(evaluation.successes),
        "episodes": EPISODES,
        "valid_arm": round(losses["valid/arm"], 4),
        "valid": {n: round(losses[f"valid/{n}"], 4) for n in LOSSES[name]},
        "training_seconds": round(trained, 1),
    }


def keep(settings: dict[str, Any], results: dict[str, Any]) -> None:
    table = {}
    for name in LOSSES:
        if not (seeds := results.get(name)):
            continue
        successes = sum(each["successes"] for each in seeds.values())
        episodes = EPISODES * len(seeds)
        table[name] = {
            "seeds": len(seeds),
            "successes": successes,
            "episodes": episodes,
            "wilson_95": [round(bound, 4) for bound in wilson_interval(successes, episodes)],
            "valid_arm": round(float(np.mean([each["valid_arm"] for each in seeds.values()])), 4),
        }
    machine = {"cores": os.cpu_count(), "system": platform.platform(), "torch": torch.__version__}
    content = {"machine": machine, "settings": settings, "table": table, "results": results}
    write_file(RESULT, json.dumps(content, indent=2) + "\n")
    figure, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
    names = list(table)[::-1]
    rates = np.array([table[name]["successes"] / table[name]["episodes"] for name in names])
    ends = np.array([table[name]["wilson_95"] for name in names])
    axes[0].barh(names, 100 * rates, xerr=100 * np.abs(ends.T - rates), capsize=3, ecolor="0.3")
    axes[0].set(xlim=(0, 100), xlabel="episodes that succeed, % (95 % Wilson intervals)")
    axes[1].plot([table[name]["valid_arm"] for name in names], names, "o")
    axes[1].set(xlabel="arm's loss on demonstrations not learnt from, nats")
    figure.suptitle(f"Lift from images: one auxiliary loss each, {settings['steps']:,} steps")
    figure.savefig(RESULT.with_suffix(".png"), dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=list(LOSSES))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--data", type=Path, default=ROOT / "runs" / "auxiliary")
    parser.add_argument("--processes", type=int, default=available_cores())
    arguments = parser.parse_args()
    settings = {"steps": arguments.steps, "demonstrations": DEMONSTRATIONS, "inputs": INPUTS}
    settings = json.loads(json.dumps(settings))
    results: dict[str, Any] = {}
    if RESULT.is_file():
        before = json.loads(RESULT.read_text())
        if before["settings"] != settings:
            raise SystemExit(f"{RESULT} is of other settings: {before['settings']}; remove it")
        results = before["results"]
    data = demonstrations(arguments.data)
    for seed in arguments.seeds:
        for name in arguments.losses:
            if str(seed) in results.get(name, {}):
                continue
            result = result_of(name, seed, data, arguments.steps, arguments.processes)
            results.setdefault(name, {})[str(seed)] = result
            print(json.dumps({"loss": name, "seed": seed, **result}), flush=True)
            keep(settings, results)


if __name__ == "__main__":
    main()
