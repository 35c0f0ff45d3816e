"""Control steps a second of environments in worker processes: two processes beside one, and peers.

    python benchmarks/vector.py [--rounds 9]

Lift with OSC pose, random actions made here, every observable read here. Sides take turns at being
timed, and wait without using the processor in between. What is compared:

- 8 environments and 2 environments, in one process and in two;
- 2 environments in two processes each: Gymnasium's `AsyncVectorEnv` (with shared memory) around
  stock robosuite, the same around robolearn's environment, and robolearn's own;
- 2 environments with two 84×84 cameras, in one process and in two;
- environments that do nothing: what a control step costs for the way to the workers and back.

Writes benchmarks/results/vector.json and vector.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import gymnasium
import matplotlib.pyplot as plt
import numpy as np

from robolearn.control.process_environments import ProcessEnvironments
from robolearn.control.workers import starting_workers
from robolearn.environments.environment import Environment
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.robosuite_arguments import env_args
from robolearn.environments.robosuite_import import import_robosuite
from robolearn.environments.task import SimTask, load_task
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.frames import EpisodeContext, Observation

RESULTS = Path(__file__).parent / "results"
GOAL = 1.8
CAMERAS = ("agentview", "robot0_eye_in_hand")


class Idle(Environment):
    """Does nothing, and shows as much as Lift does."""

    horizon = 1000
    context = EpisodeContext(
        features={f"observation.{index}": Feature("float32", (10,)) for index in range(6)},
        action=ActionFeature("float32", (7,), low=(-1,) * 7, high=(1,) * 7),
        task="nothing",
        rate=20.0,
    )

    def __init__(self) -> None:
        self._values = {name: np.zeros(10, np.float32) for name in self.context.features}
        self._timestamps = dict.fromkeys(self._values, 0.0)

    def reset(self, seed: int) -> None: ...

    def observe(self) -> Observation:
        return Observation(self._values, self._timestamps, 0.0, 0.0, False)

    def act(self, action: np.ndarray) -> np.ndarray:
        return action

    def close(self) -> None: ...


class AsGymnasium(gymnasium.Env[Any, Any]):
    """An environment of robolearn's as Gymnasium has them."""

    def __init__(self, make: Callable[[], Environment]) -> None:
        self._environment = make()
        context = self._environment.context
        self.observation_space = gymnasium.spaces.Dict(
            {
                name: gymnasium.spaces.Box(-np.inf, np.inf, feature.shape, np.dtype(feature.dtype))
                for name, feature in context.features.items()
            }
        )
        self.action_space = gymnasium.spaces.Box(-1, 1, context.action.shape, np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        self._environment.reset(seed or 0)
        return dict(self._environment.observe().values), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._environment.act(action)
        seen = self._environment.observe()
        return dict(seen.values), seen.reward or 0.0, False, False, {"success": seen.success}


def stock(task: SimTask) -> gymnasium.Env[Any, Any]:
    """robosuite's own environment in robosuite's own wrapper for Gymnasium."""
    robosuite = import_robosuite()
    from robosuite.wrappers import GymWrapper

    arguments = env_args(task, robosuite.__version__)["env_kwargs"]
    wrapped = GymWrapper(robosuite.make(task.simulator.environment, **arguments))
    wrapped.metadata = {}  # it has none, and Gymnasium wants some
    return wrapped


@dataclass(frozen=True)
class Side:
    """What is timed: a control step of all its environments, and beginning anew."""

    count: int
    reset: Callable[[], Any]
    step: Callable[[np.ndarray], Any]

    def steps_per_second(self, seed: int, steps: int) -> float:
        actions = np.random.default_rng(seed).uniform(-1, 1, (steps, self.count, 7))
        actions = actions.astype(np.float32)
        self.reset()
        self.step(actions[0])
        began = time.perf_counter()
        for action in actions:
            self.step(action)
        return steps * self.count / (time.perf_counter() - began)


def ours(stack: ExitStack, make: Callable[[], Environment], count: int, processes: int) -> Side:
    environments = stack.enter_context(ProcessEnvironments(make, count, processes))

    def step(action: np.ndarray) -> None:
        environments.act(action)
        environments.observe()

    return Side(count, lambda: environments.reset(range(count)), step)


def gymnasiums(stack: ExitStack, make: Callable[[], gymnasium.Env[Any, Any]], count: int) -> Side:
    with starting_workers():
        environments = gymnasium.vector.AsyncVectorEnv([make] * count, context="spawn")
    stack.callback(environments.close)
    return Side(count, lambda: environments.reset(seed=list(range(count))), environments.step)


def in_turn(sides: Mapping[str, Side], rounds: int, steps: int) -> dict[str, Any]:
    """Control steps a second of all environments of a side together."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        side.steps_per_second(0, 5)
    for seed in range(rounds):
        for name in list(sides) if seed % 2 else list(sides)[::-1]:
            found[name].append(sides[name].steps_per_second(seed, steps // sides[name].count))
    for name, values in found.items():
        print(f"{name}: {statistics.median(values):.0f} steps/s", flush=True)
    return found


def times(found: Mapping[str, list[float]], one: str, other: str) -> float:
    """How often as fast one side was as another, by the median of the rounds."""
    pairs = zip(found[one], found[other], strict=True)
    return round(statistics.median(a / b for a, b in pairs), 2)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    task = load_task("sim:lift")
    lift = partial(RobosuiteEnvironment, task)
    seeing = partial(RobosuiteEnvironment, task.with_cameras(CAMERAS, 84, 84))
    load = [os.getloadavg()[0]]

    with ExitStack() as stack:
        states = {
            f"{count} in {processes}": ours(stack, lift, count, processes)
            for count, processes in ((8, 1), (8, 2), (2, 1), (2, 2))
        }
        peers = {
            "AsyncVectorEnv, stock robosuite": gymnasiums(stack, partial(stock, task), 2),
            "AsyncVectorEnv, robolearn": gymnasiums(stack, partial(AsGymnasium, lift), 2),
        }
        found = in_turn(states | peers, rounds, 480)
    load.append(os.getloadavg()[0])
    with ExitStack() as stack:
        cameras = {
            f"cameras, 2 in {processes}": ours(stack, seeing, 2, processes) for processes in (1, 2)
        }
        found |= in_turn(cameras, rounds, 60)
    load.append(os.getloadavg()[0])
    with ExitStack() as stack:
        idle = {
            f"{count} in {processes}": ours(stack, Idle, count, processes)
            for count, processes in ((1, 1), (2, 2), (16, 2))
        }
        idle["AsyncVectorEnv, 2 in 2"] = gymnasiums(stack, partial(AsGymnasium, Idle), 2)
        alone = Idle()
        idle["without workers, 1"] = Side(
            1, lambda: None, lambda action: (alone.act(action[0]), alone.observe())
        )
        handed = in_turn(idle, rounds, 2000)

    scaling = {
        "8 environments": times(found, "8 in 2", "8 in 1"),
        "2 environments": times(found, "2 in 2", "2 in 1"),
        "2 environments with two cameras": times(found, "cameras, 2 in 2", "cameras, 2 in 1"),
    }
    beside = {name: times(found, "2 in 2", name) for name in peers}
    result = {
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "rounds": rounds,
        "load_average_meanwhile": [round(value, 1) for value in load],
        "steps_per_s": {name: round(statistics.median(v), 1) for name, v in found.items()},
        "slowest_and_fastest": {
            name: [round(min(v), 1), round(max(v), 1)] for name, v in found.items()
        },
        "two_processes_are_times_as_fast_as_one": scaling,
        "goal": GOAL,
        "met": min(scaling.values()) >= GOAL,
        "ours_is_times_as_fast": beside,
        "us_of_a_control_step_of_idle_environments": {
            name: {
                "median": round(1e6 * idle[name].count / statistics.median(values), 1),
                "fastest": round(1e6 * idle[name].count / max(values), 1),
            }
            for name, values in handed.items()
        },
    }
    print(json.dumps(result, indent=2))
    (RESULTS / "vector.json").write_text(json.dumps(result, indent=2) + "\n")
    plot(found)


def plot(found: Mapping[str, list[float]]) -> None:
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    names = list(found)[::-1]
    colours = ["C1" if "AsyncVectorEnv" in name else "C0" for name in names]
    axes.barh(names, [statistics.median(found[name]) for name in names], color=colours)
    for place, name in enumerate(names):
        axes.plot([min(found[name]), max(found[name])], [place, place], "k-", linewidth=1)
    axes.set_xlabel("control steps a second of all environments")
    axes.set_title("Lift: environments in processes", loc="left", fontsize=10)
    figure.savefig(RESULTS / "vector.png", dpi=110)


if __name__ == "__main__":
    main()
