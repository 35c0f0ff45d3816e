"""What an iteration of practice costs, by part, before and after it was made cheaper.

    python benchmarks/practice_speed.py [--rounds 2]

``robolearn finetune`` on sim:lift with the state policy that 200 training steps make of the shipped
demonstrations, 8 episodes an iteration, one worker process that simulates, one thread that learns.
Sides, each in a process of its own, in turn:

- *before*: the code of commit ``BEFORE`` with its defaults, read from the repository's history;
- *same settings*: today's code with the settings of then, so what the code alone has gained;
- *now*: today's code with today's defaults.

Each does four iterations and a trial of 20 episodes, which is half of what lies between two trials
of 40, after one iteration that is not counted. Counted is the processor's time, of the process
that learns by part and of the worker that simulates, which other programs on a shared machine
disturb less; and the time as it passes, of which physics is to be half or more (today both go on at
once, so that shares may come to more than the whole). Starting up and compiling are in neither.
Writes benchmarks/results/practice_speed.json and practice_speed.png.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import wait
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

RESULTS = Path(__file__).parent / "results"
CHECKOUT = Path(__file__).parents[1]
BEFORE = "d47f4a82cf35"
SIDES = ("before", "same settings", "now")
WARM, COUNTED, TRIED = 1, 4, 20
"""Iterations, iterations and episodes of the trial."""
GOAL = 0.5
"""Share of the time as it passes that is physics."""
PARTS = {
    "decisions": "rollouts and trials without physics",
    "reward": "the reward's update",
    "critics": "critics",
    "actor": "actor",
    "drawing": "the rest of the policy's update: batches and targets",
}


class Watch:
    """Adds up the time of methods, as the processor's and as it passes, calls inside calls of the
    same thread once.
    """

    def __init__(self) -> None:
        self.processor: dict[str, float] = {}
        self.passed: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self._threads = threading.local()

    def over(self, owner: Any, method: str, part: str) -> None:
        call: Callable[..., Any] = getattr(owner, method)

        def timed(*arguments: Any, **named: Any) -> Any:
            outside = getattr(self._threads, "inside", (0.0, 0.0))
            self._threads.inside = 0.0, 0.0
            began = time.thread_time(), time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                used, passed = time.thread_time() - began[0], time.perf_counter() - began[1]
                inside = self._threads.inside
                self._add(part, used - inside[0], passed - inside[1])
                self._threads.inside = outside[0] + used, outside[1] + passed

        setattr(owner, method, timed)

    def _add(self, part: str, used: float, passed: float) -> None:
        self.processor[part] = self.processor.get(part, 0.0) + used
        self.passed[part] = self.passed.get(part, 0.0) + passed
        self.calls[part] = self.calls.get(part, 0) + 1

    def begin(self) -> None:
        for counts in (self.processor, self.passed, self.calls):
            counts.clear()


def practise(side: str, clone: Path) -> dict[str, Any]:
    """One side, in this process."""
    import torch

    from robolearn.control.process_environments import ProcessEnvironments
    from robolearn.environments.targets import load_target, make_environment
    from robolearn.episodes.formats import open_dataset
    from robolearn.learning.finetuning.config import FinetuningConfig
    from robolearn.learning.finetuning.practice import Practising
    from robolearn.policies.checkpoint import load_policy

    torch.set_num_threads(1)
    torch.manual_seed(0)
    task = load_target("sim:lift")
    config = dataclasses.replace(FinetuningConfig(), warmup=0, validation_episodes=TRIED)
    if side == "same settings":
        then = dataclasses.replace(config.update.off_policy, **THEN)
        config = dataclasses.replace(
            config, update=dataclasses.replace(config.update, off_policy=then)
        )
    if side != "before":
        from robolearn.learning.freed_memory import keep_freed_memory

        keep_freed_memory()
    make = partial(make_environment, task)
    with ProcessEnvironments(make, config.episodes, 1) as environments:
        practising = Practising(
            load_policy(clone),
            open_dataset(CHECKOUT / "datasets" / "lift"),
            environments,
            task.observation.relevant,
            config,
        )
        watch = Watch()
        for method in ("act", "reset"):
            watch.over(environments, method, "physics")
        watch.over(practising._rollouts, "collect", "decisions")
        watch.over(practising.reward, "update", "reward")
        watch.over(practising.update, "_improve_critics", "critics")
        watch.over(practising.update, "_improve_actor", "actor")
        watch.over(practising.update, "improve", "drawing")
        for _ in range(WARM):
            practising.iterate()
        if side != "before":  # else it would be counted in part
            wait([practising._under_way])
        watch.begin()
        steps, began, simulated = practising.steps, time.perf_counter(), _workers_time()
        for _ in range(COUNTED):
            practising.iterate()
        practising.try_average()
        passed = time.perf_counter() - began
        steps = practising.steps - steps
        watch.processor["physics"] = _workers_time() - simulated
    updates = watch.calls["critics"]
    return {
        "steps": steps,
        "updates": updates,
        "ms_of_processor_by_step": {
            part: 1e3 * used / steps for part, used in watch.processor.items()
        },
        "ms_of_processor_by_update": 1e3
        * sum(watch.processor[part] for part in ("critics", "actor", "drawing"))
        / updates,
        "shares_of_passed": {part: used / passed for part, used in watch.passed.items()},
    }


THEN = {
    "updates": 0.5,
    "hidden": 256,
    "batch": 256,
    "critic_rate": 3e-4,
    "actor_rate": 1e-4,
    "follow": 0.005,
    "actor_every": 2,
}
"""Defaults of the off-policy update at ``BEFORE``."""


def _workers_time() -> float:
    """Seconds of the processor that worker processes have used (Linux)."""
    total = 0
    for process in multiprocessing.active_children():
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def in_its_own_process(side: str, clone: Path, checkout: Path) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).resolve()), "--side", side, "--clone", str(clone)]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    said = subprocess.run(
        command, env=environment, cwd=checkout, check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
    return found


def then_to(folder: Path) -> Path:
    """The package as it was."""
    archive = subprocess.run(
        ["git", "archive", BEFORE, "robolearn", "sim"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
    )
    folder.mkdir()
    subprocess.run(["tar", "x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def median(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each figure."""
    first = rounds[0]
    return {
        name: median([each[name] for each in rounds])
        if isinstance(value, dict)
        else statistics.median(each[name] for each in rounds)
        for name, value in first.items()
    }


def summary(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    now = found["now"]
    costs = now["ms_of_processor_by_step"]
    learning = sum(costs[part] for part in ("reward", "critics", "actor", "drawing"))
    return {
        "times_cheaper_update_same_settings": found["before"]["ms_of_processor_by_update"]
        / found["same settings"]["ms_of_processor_by_update"],
        "learning_ms_by_step": learning,
        "simulation_ms_by_step": costs["physics"] + costs["decisions"],
        "physics_share_of_passed": now["shares_of_passed"]["physics"],
        "goal": GOAL,
    }


def plot(found: Mapping[str, Mapping[str, Any]], file: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
    begun = [0.0] * len(found)
    for part in ("physics", *PARTS):
        costs = [side["ms_of_processor_by_step"][part] for side in found.values()]
        label = PARTS.get(part, "physics (worker process)")
        axes.barh(list(found), costs, left=begun, label=label)
        begun = [left + cost for left, cost in zip(begun, costs, strict=True)]
    for place, side in enumerate(found.values()):
        share = side["shares_of_passed"]["physics"]
        axes.text(
            begun[place],
            place,
            f" physics {share:.0%} of the time",
            va="center",
            fontsize="small",
        )
    axes.invert_yaxis()
    axes.margins(x=0.28)
    axes.set_xlabel("processor time for each control step of practice, ms")
    axes.legend(fontsize="x-small")
    figure.savefig(file, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--clone", type=Path)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(practise(arguments.side, arguments.clone)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        then, clone = then_to(Path(temporary) / "then"), Path(temporary) / "clone"
        train = [sys.executable, "-m", "robolearn", "train", str(CHECKOUT / "datasets" / "lift")]
        subprocess.run(  # by the code of then: today's reads its policies, but not the other way
            [*train, "--to", str(clone), "--steps", "200"],
            env={**os.environ, "PYTHONPATH": str(then)},
            cwd=then,
            check=True,
            capture_output=True,
        )
        rounds: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
        for turn in range(arguments.rounds):
            for side in SIDES if turn % 2 == 0 else reversed(SIDES):
                checkout = then if side == "before" else CHECKOUT
                rounds[side].append(in_its_own_process(side, clone, checkout))
                print(side, json.dumps(rounds[side][-1]), flush=True)
    found = {side: median(each) for side, each in rounds.items()}
    result = {
        "command": "python benchmarks/practice_speed.py",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        "rounds": arguments.rounds,
        "sides": found,
        **summary(found),
    }
    file = RESULTS / "practice_speed.json"
    file.write_text(json.dumps(result, indent=2) + "\n")
    plot(found, file.with_suffix(".png"))
    print(json.dumps(summary(found), indent=2))


if __name__ == "__main__":
    main()
