"""How often the scripted experts succeed: as they are, and with all variation turned on.

    python benchmarks/experts.py [--episodes 200] [--tasks can square]

The seeds are 0 to ``--episodes`` - 1, the same for both ways. Success is that at the end of the
episode, as ``robolearn record`` counts it; intervals are Wilson's, of 95 %. ``--tasks`` measures
only some tasks anew and leaves the others' results as they were.

Writes benchmarks/results/experts.json and experts.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib.pyplot as plt
import numpy as np

from robolearn.agents.scripted import ScriptedExpert
from robolearn.control.loop import run_episode
from robolearn.environments.expert import VARIATIONS, VariationName
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import load_task
from robolearn.episodes.frames import EpisodeContext, Outcome, Step
from robolearn.learning.success import wilson_interval

RESULTS = Path(__file__).parent / "results"
TASKS = (
    "lift",
    "stack",
    "can",
    "milk",
    "bread",
    "cereal",
    "square",
    "round",
    "door",
    "two_arm_lift",
)
GOAL = 0.95
WAYS: dict[str, tuple[VariationName, ...]] = {"as it is": (), "all variation": VARIATIONS}


class LastingSuccess:
    """Observer: the step from which on an episode was a success to its end."""

    def on_reset(self, context: EpisodeContext) -> None:
        self.since: int | None = None

    def on_step(self, step: Step) -> None:
        if not step.next_observation.success:
            self.since = None
        elif self.since is None:
            self.since = step.index + 1

    def on_end(self, outcome: Outcome) -> None:
        pass


def measured(
    environment: RobosuiteEnvironment, agent: ScriptedExpert, episodes: int
) -> dict[str, Any]:
    successes, steps, failed = 0, [], []
    observer = LastingSuccess()
    for seed in range(episodes):
        outcome = run_episode(environment, agent, [observer], seed=seed)
        if outcome.success_at_end:
            successes += 1
            steps.append(observer.since)
        else:
            failed.append(seed)
    low, high = wilson_interval(successes, episodes)
    return {
        "episodes": episodes,
        "successes": successes,
        "rate": round(successes / episodes, 4),
        "interval": [round(low, 4), round(high, 4)],
        "met": successes / episodes >= GOAL,
        "median_steps_to_success": statistics.median(steps) if steps else None,
        "failed_seeds": failed,
    }


def plot(tasks: dict[str, Any]) -> None:
    names = [name for name in TASKS if name in tasks]
    figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
    for offset, way in enumerate(WAYS):
        found = [tasks[name][way] for name in names]
        rates = np.array([each["rate"] for each in found])
        ends = np.array([each["interval"] for each in found])
        axes.bar(
            np.arange(len(names)) + 0.4 * (offset - 0.5),
            100 * rates,
            0.38,
            yerr=100 * np.abs(ends.T - rates),
            ecolor="0.3",
            capsize=2,
            label=way,
        )
    axes.axhline(100 * GOAL, color="0.3", linewidth=0.8, linestyle="--")
    axes.set_xticks(range(len(names)), names)
    axes.set_ylim(50, 101)
    axes.set_ylabel("success of the scripted expert, %")
    axes.legend(loc="lower right")
    figure.savefig(RESULTS / "experts.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    arguments = parser.parse_args()
    file = RESULTS / "experts.json"
    tasks: dict[str, Any] = json.loads(file.read_text())["tasks"] if file.is_file() else {}
    for name in arguments.tasks:
        task = load_task(f"sim:{name}")
        environment = RobosuiteEnvironment(task)
        tasks[name] = {"horizon": task.simulator.horizon} | {
            way: measured(
                environment,
                ScriptedExpert(task, environment.context, variation),
                arguments.episodes,
            )
            for way, variation in WAYS.items()
        }
        environment.close()
        print(name, json.dumps(tasks[name]), flush=True)
        machine = {"cores": os.cpu_count(), "system": platform.platform()}
        ordered = {each: tasks[each] for each in TASKS if each in tasks}
        result = {"machine": machine, "goal": GOAL, "tasks": ordered}
        file.write_text(json.dumps(result, indent=2) + "\n")
    plot(tasks)


if __name__ == "__main__":
    main()
