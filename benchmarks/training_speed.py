"""Training steps a second and the time of a decision, robolearn's beside robomimic's.

    python benchmarks/training_speed.py [--episodes 200] [--rounds 9] [--threads 1]

Both clone the same policy from the same HDF5 file (`clones.py`), in one process that lets them take
turns, with the same number of threads. robomimic's side is its own ``run_epoch`` over its own
``DataLoader``, as its ``scripts/train.py`` has it; robolearn's is ``Learner.update``, the loading
of the windows, the limit of the gradient and the moving average included; once more with the
network's arithmetic in bfloat16 (``robolearn train --precision bfloat16``). Beside them stands what
nobody can do without: the bare layers and the head's product, forwards and backwards, with neither
loss nor optimiser.

A decision is one observation on one thread: ``PolicyAgent.act``, robomimic's ``RolloutPolicy``, and
the bare network in ``torch.inference_mode``, which is its layers and the head's product and nothing
else; of the RNN, one frame with the state kept. ``PolicyAgent`` carries no state: it sees all ten
frames again, so that for it the bare network of ten frames stands beside it, too.

Time is counted twice: as it passes, and as the processor's, which other programs on a shared
machine disturb less: decisions are compared by it. Writes benchmarks/results/training_speed.json
and training_speed.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib.pyplot as plt
import numpy as np
import torch
from clones import BATCH, FRAMES, KEYS, LAYERS, Network, RobomimicCloning, robolearn_config
from demonstrations import demonstrations
from torch import nn

from robolearn.agents.policy import PolicyAgent
from robolearn.episodes.dataset import Dataset
from robolearn.episodes.formats import open_dataset, open_writer
from robolearn.episodes.frames import Observation
from robolearn.learning.acceleration import make_accelerator
from robolearn.learning.learner import Learner
from robolearn.learning.windows import learning_windows
from robolearn.policies.policy import Policy
from robolearn.policies.schema import PolicySchema

RESULTS = Path(__file__).parent / "results"
TRAINING_GOAL = 2.0
DECISION_GOAL = 2.0
SLOWEST_GOAL_MS = 1.0
"""For the 99.9th percentile."""
STEPS = {"mlp": 60, "rnn": 15}
"""Of each side in one round."""
DECISIONS = 500
"""Of each side in one round."""
DECISION_ROUNDS = 20
NETWORKS: dict[Network, str] = {
    "mlp": "MLP 1024, 1024",
    "rnn": f"LSTM 2×400, {FRAMES} frames",
}


def learner(
    dataset: Dataset, network: Network, precision: Literal["float32", "bfloat16"] = "float32"
) -> Learner:
    config = robolearn_config(network, 100_000, learning_rate=1e-4, seed=0, precision=precision)
    schema = PolicySchema.of(dataset.context, config.policy.inputs)
    windows = learning_windows(dataset, schema, config.policy, "train")
    return Learner(schema, config, windows, make_accelerator(config))


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds as they pass, and of the processor."""
    passed, used = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - passed, time.process_time() - used


class Bare(nn.Module):
    """The layers, and the head's product, of a policy, for vectors that are normalised already."""

    def __init__(self, network: Network, policy: Policy) -> None:
        super().__init__()
        first, last = LAYERS[network]
        width = policy.encoder.width
        if network == "mlp":
            self.layers: nn.Module = nn.Sequential(
                nn.Linear(width, first), nn.ReLU(), nn.Linear(first, last), nn.ReLU()
            )
        else:
            self.layers = nn.LSTM(width, first, 2, batch_first=True)
        outputs = sum(
            layer.out_features
            for head in (policy.arm_head, policy.gripper_head)
            for layer in head.modules()
            if isinstance(layer, nn.Linear)
        )
        self.head = nn.Linear(last, outputs)

    def forward(self, seen: torch.Tensor, *, all_frames: bool = False) -> torch.Tensor:
        """(B, W) → (B, outputs); for the LSTM (B, K, W), of which the last frame or all answer."""
        features = self.layers(seen)
        if isinstance(features, tuple):
            features = features[0] if all_frames else features[0][:, -1]
        outputs: torch.Tensor = self.head(features)
        return outputs


def training(
    ours: Learner, in_bfloat16: Learner, theirs: RobomimicCloning, network: Network, rounds: int
) -> dict[str, Any]:
    steps = STEPS[network]
    bare = Bare(network, ours.average)
    seen = torch.randn(BATCH, *(() if network == "mlp" else (FRAMES,)), ours.average.encoder.width)

    def update(learner: Learner) -> None:
        for _ in range(steps):
            learner.update()

    def forwards_and_backwards() -> None:
        for _ in range(steps):
            bare.zero_grad()
            bare(seen, all_frames=True).sum().backward()

    sides = {
        "robolearn": partial(update, ours),
        "robolearn, bfloat16": partial(update, in_bfloat16),
        "robomimic": lambda: theirs.train(steps),
        "the bare network": forwards_and_backwards,
    }
    for call in sides.values():
        call()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    names = list(sides)
    for turn in range(rounds):
        for name in names if turn % 2 == 0 else reversed(names):
            found[name].append(timed(sides[name]))
    rates = {name: steps / np.array(each) for name, each in found.items()}
    ratio, ratio_of_processor = np.median(rates["robolearn"] / rates["robomimic"], axis=0)
    ratio_in_bfloat16 = np.median(rates["robolearn, bfloat16"] / rates["robomimic"], axis=0)[0]
    return {
        **{
            name: {
                "steps_per_s": round(float(np.median(rate[:, 0])), 2),
                "slowest": round(float(rate[:, 0].min()), 2),
                "fastest": round(float(rate[:, 0].max()), 2),
                "steps_per_processor_s": round(float(np.median(rate[:, 1])), 2),
            }
            for name, rate in rates.items()
        },
        "times_as_fast": round(float(ratio), 2),
        "times_as_fast_by_processor": round(float(ratio_of_processor), 2),
        "times_as_fast_in_bfloat16": round(float(ratio_in_bfloat16), 2),
        "goal": TRAINING_GOAL,
        "met": {
            "float32": bool(ratio >= TRAINING_GOAL),
            "bfloat16": bool(ratio_in_bfloat16 >= TRAINING_GOAL),
        },
    }


def observations(dataset: Dataset) -> list[Observation]:
    episode = dataset.episode(0)
    return [
        Observation({name: episode.observations[name][frame] for name in KEYS}, {}, 0.0)
        for frame in range(len(episode))
    ]


def decisions(
    ours: Learner, theirs: RobomimicCloning, network: Network, seen: list[Observation]
) -> dict[str, Any]:
    policy = ours.average
    agent, peer = PolicyAgent(policy), theirs.agent()
    bare = Bare(network, policy)
    frames = {"the bare network": torch.randn(1, policy.encoder.width)}
    if network == "rnn":
        frames = {
            "the bare network, one frame": torch.randn(1, 1, policy.encoder.width),
            f"the bare network, {FRAMES} frames": torch.randn(1, FRAMES, policy.encoder.width),
        }

    def forward(frame: torch.Tensor) -> Callable[[Observation], object]:
        def call(_: Observation) -> object:
            with torch.inference_mode():
                return bare(frame)

        return call

    sides: dict[str, Callable[[Observation], object]] = {
        "robolearn": agent.act,
        "robomimic": peer.act,
        **{name: forward(frame) for name, frame in frames.items()},
    }
    passed: dict[str, list[float]] = {name: [] for name in sides}
    used: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for turn in range(DECISION_ROUNDS):
        for name in names if turn % 2 == 0 else reversed(names):
            agent.reset(turn)
            peer.reset(turn)
            call = sides[name]
            for number in range(DECISIONS):
                observation = seen[number % len(seen)]
                began, began_used = time.perf_counter(), time.thread_time()
                call(observation)
                used[name].append(time.thread_time() - began_used)
                passed[name].append(time.perf_counter() - began)
    rows = {
        name: {
            "median_ms": round(1000 * statistics.median(passed[name]), 4),
            "percentile_99_9_ms": round(1000 * float(np.percentile(passed[name], 99.9)), 4),
            "median_processor_ms": round(1000 * statistics.median(used[name]), 4),
            "percentile_99_9_processor_ms": round(1000 * float(np.percentile(used[name], 99.9)), 4),
        }
        for name in sides
    }
    median = rows["robolearn"]["median_processor_ms"]
    times = {name: round(median / rows[name]["median_processor_ms"], 2) for name in frames}
    slowest = rows["robolearn"]["percentile_99_9_ms"]
    slowest_by_processor = rows["robolearn"]["percentile_99_9_processor_ms"]
    return {
        "calls_of_each": DECISIONS * DECISION_ROUNDS,
        "sides": rows,
        "times_as_long_as": times,
        "times_as_fast_as_robomimic": round(rows["robomimic"]["median_processor_ms"] / median, 2),
        "goals": {"times_as_long": DECISION_GOAL, "percentile_99_9_ms": SLOWEST_GOAL_MS},
        "met": {
            "times_as_long": max(times.values()) <= DECISION_GOAL,
            "percentile_99_9_ms": slowest <= SLOWEST_GOAL_MS,
            "percentile_99_9_processor_ms": slowest_by_processor <= SLOWEST_GOAL_MS,
        },
    }


def plot(networks: dict[str, Any]) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(10, 2.9), layout="constrained")
    colours = {
        "robolearn": "C0",
        "robolearn, bfloat16": "C9",
        "robomimic": "C7",
        "the bare network": "0.8",
    }
    labels, values, shades = [], [], []
    for name, found in networks.items():
        for side, colour in colours.items():
            labels.append(f"{side}, {name.split()[0]}")
            values.append(found["training"][side]["steps_per_s"])
            shades.append(colour)
    axes[0].bar_label(axes[0].barh(labels, values, color=shades), fmt="%.1f", padding=3)
    axes[0].set_xlabel("training steps a second")
    labels, values, shades = [], [], []
    for name, found in networks.items():
        for side, row in found["decision"]["sides"].items():
            labels.append(f"{side}, {name.split()[0]}")
            values.append(row["median_processor_ms"])
            shades.append(colours.get(side, "0.8"))
    axes[1].bar_label(axes[1].barh(labels, values, color=shades), fmt="%.3f", padding=3)
    axes[1].set_xlabel("ms of the processor for a decision, median")
    for axis in axes:
        axis.set_xlim(0, 1.2 * axis.get_xlim()[1])
        axis.invert_yaxis()
        axis.tick_params(labelsize="small")
    figure.savefig(RESULTS / "training_speed.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    networks = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "demos.hdf5"
        with open_writer(file) as writer:
            for episode in demonstrations(arguments.episodes):
                writer.add(episode)
        dataset = open_dataset(file)
        seen = observations(dataset)
        for network, name in NETWORKS.items():
            torch.set_num_threads(arguments.threads)
            ours, theirs = learner(dataset, network), RobomimicCloning(file, network, 1e-4, seed=0)
            half = learner(dataset, network, "bfloat16")
            found = {"training": training(ours, half, theirs, network, arguments.rounds)}
            torch.set_num_threads(1)
            found["decision"] = decisions(ours, theirs, network, seen)
            networks[name] = found
            print(name, json.dumps(found, indent=2), flush=True)
    summary = {
        "machine": {"cores": len(os.sched_getaffinity(0)), "system": platform.platform()},
        "torch": torch.__version__,
        "episodes": arguments.episodes,
        "batch": BATCH,
        "rounds": arguments.rounds,
        "training_threads": arguments.threads,
        "networks": networks,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "training_speed.json").write_text(json.dumps(summary, indent=2) + "\n")
    plot(networks)


if __name__ == "__main__":
    main()
