"""From demonstrations on the virtual SO-101 to a policy that lifts its cube by LeRobot's driver.

    python benchmarks/virtual_deployment.py

The commands of docs/deploying.md, once with demonstrations by the leader and once with ones by
dragging: record, train, deploy. A scripted hand does the person's part. The policy sees the joints
and the cube's pose as the virtual arm's world has it (not images), and nothing is rendered. Seeds,
which decide where the cube lies, begin at 0 for demonstrations and at 1,000,000 for deployment.
Everything runs in real time: about ten seconds an episode. With --folder, what is there already is
not made again, and a recording that was stopped goes on. Writes
benchmarks/results/virtual_deployment.json and virtual_deployment.png.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import matplotlib
import numpy as np

from robolearn.episodes.features import ENVIRONMENT_STATE
from robolearn.episodes.formats import open_dataset
from robolearn.shelf import shelf_folder

matplotlib.use("Agg")
import matplotlib.pyplot as plt

RESULTS = Path(__file__).parent / "results"
WAYS = ("leader", "hand")
TRAINING = [
    *("--steps", "12000", "--batch", "256", "--seed", "0"),
    *("--policy.inputs", "observation.state", "observation.environment_state"),
    *("--policy.horizon", "40", "--policy.execute", "24"),
    *("--policy.memory.history", "1", "--policy.memory.dropout", "0"),
    *("--policy.memory.hidden", "512", "512", "512"),
    *("--policy.encoder.state-noise", "0.05"),
    *("--policy.action.head", "deterministic", "--policy.action.deterministic.loss", "l1"),
]


def robolearn(*arguments: object) -> dict[str, object]:
    """What a command says, with --json."""
    command = [sys.executable, "-m", "robolearn", *map(str, arguments), "--json"]
    print("robolearn", *arguments, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in {0, 1}:
        raise SystemExit(done.returncode)
    return json.loads(done.stdout)


def blind(folder: Path) -> Path:
    """The profile of the shelf without cameras."""
    shelf = shelf_folder("real")
    text = (shelf / "virtual-so101.toml").read_text()
    text = text.replace('cameras = ["front", "wrist"]', "cameras = []")
    text = text.replace('"so101.xml"', f'"{shelf / "so101.xml"}"')
    path = folder / "blind.toml"
    path.write_text(text)
    return path


def measured(way: str, arm: Path, folder: Path, demonstrations: int, episodes: int) -> dict:
    demos, run, trials = (folder / f"{way}-{what}" for what in ("demos", "run", "trials"))
    answer = folder / f"{way}.json"
    missing = demonstrations - (len(open_dataset(demos)) if demos.exists() else 0)
    if missing > 0:
        robolearn("record", arm, "--by", way, "--to", demos, "--episodes", missing)
    if not run.exists():
        robolearn("train", demos, "--to", run, *TRAINING)
    if not answer.exists():
        load = os.getloadavg()[0]
        began = time.monotonic()
        result = robolearn("deploy", run, "--on", arm, "--episodes", episodes, "--to", trials)
        result["minutes"] = (time.monotonic() - began) / 60
        result["load average before and after"] = [load, os.getloadavg()[0]]
        answer.write_text(json.dumps(result))
    return json.loads(answer.read_text())


def cubes(path: Path) -> np.ndarray:
    """(N, 2) where the cube lay at the beginning of each episode, m."""
    dataset = open_dataset(path)
    episodes = dataset.episodes(range(len(dataset)))
    return np.array([each.observations[ENVIRONMENT_STATE][0, :2] for each in episodes])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--demonstrations", type=int, default=120)
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    arm = blind(folder)
    results: dict[str, object] = {"cores": os.cpu_count(), "training": " ".join(TRAINING)}
    figure, axes = plt.subplots(1, len(WAYS), figsize=(10, 4), layout="constrained", sharey=True)
    for axis, way in zip(axes, WAYS, strict=True):
        found = measured(way, arm, folder, arguments.demonstrations, arguments.episodes)
        shown, tried = cubes(folder / f"{way}-demos"), cubes(folder / f"{way}-trials")
        lifted = np.array(found["successes"])
        low, high = found["wilson_95"]
        results[way] = {
            "demonstrations": len(shown),
            "episodes": len(lifted),
            "lifted": int(lifted.sum()),
            "success_rate": found["success_rate"],
            "wilson_95": [low, high],
            "held at the end": sum(found["held"]),
            "halted": found["halted"],
            "control steps without a new action": found["late"],
            "control steps that the supervisor changed": found["changed"],
            "minutes": found["minutes"],
            "load average before and after": found["load average before and after"],
        }
        axis.scatter(*shown.T, s=14, color="#bbbbbb", label="demonstrated")
        axis.scatter(*tried[lifted].T, s=26, color="#228833", label="lifted")
        axis.scatter(*tried[~lifted].T, s=40, color="#cc3311", marker="x", label="not lifted")
        axis.set(xlabel="x of the cube, m", aspect="equal")
        axis.set_title(
            f"by {way}: {lifted.sum()} of {len(lifted)} lifted ({low:.0%} to {high:.0%})"
        )
    axes[0].set_ylabel("y of the cube, m")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center")
    RESULTS.mkdir(exist_ok=True)
    figure.savefig(RESULTS / "virtual_deployment.png", dpi=110)
    text = json.dumps(results, indent=2)
    (RESULTS / "virtual_deployment.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
