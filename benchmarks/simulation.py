"""Control steps a second of robosuite's tasks: by robolearn's compiled code, and by robosuite.

    python benchmarks/simulation.py [--rounds 7] [--sequences 20]

One core, no cameras. Both sides take turns with the same random actions from the same seeds.
robolearn's side is all that a policy waits for: the action's limits, the step, the reward, what the
task observes, the state and success. robosuite's is the ``env.step`` of an environment that
``robosuite.make`` made with the same arguments and nothing else touched. Raw physics is MuJoCo
alone, on the latter's model. Seconds are the process's own on its core, so that others who use the
machine count as little as can be; what is compared is the median over rounds of the ratio of two
episodes that were stepped one right after the other.

What both sides do is compared, too: the states after each of ``--sequences`` sequences of 200
random actions, until a contact begins or ends, and over all. Once something touches, a last bit
decides a good deal; torques for one and the same state are compared in the tests.

Writes benchmarks/results/simulation.json and simulation.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib.pyplot as plt
import mujoco
import numpy as np

from robolearn.environments.fast_stepping import StockStepping
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.robosuite_import import import_robosuite
from robolearn.environments.task import load_task

RESULTS = Path(__file__).parent / "results"
TASKS = ("lift", "can", "square", "door")
STEPS = 60
GOAL = 6.0


def robosuites_own(environment: RobosuiteEnvironment) -> Any:
    """The same task as robosuite makes it, with the same sizes of objects."""
    arguments = environment.context.env_args
    np.random.seed(0)  # noqa: NPY002  robosuite draws from it
    return import_robosuite().make(arguments["env_name"], **arguments["env_kwargs"])


def speed(environment: RobosuiteEnvironment, stock: Any, side: str, seed: int) -> float:
    """Control steps a second of one episode."""
    actions = np.random.default_rng(seed).uniform(-1, 1, (STEPS, 7))
    if side == "robolearn":
        environment.reset(seed)
    else:
        np.random.seed(seed)  # noqa: NPY002
        stock.reset()
    model, data = stock.sim.model._model, stock.sim.data._data
    substeps = int(stock.control_timestep / stock.model_timestep)
    begin = time.process_time()
    for action in actions:
        if side == "robolearn":
            environment.act(action)
            environment.observe()
        elif side == "robosuite":
            stock.step(action)
        else:
            mujoco.mj_step(model, data, substeps)
    return STEPS / (time.process_time() - begin)


def states(environment: RobosuiteEnvironment, side: str, seed: int) -> tuple[Any, Any, Any]:
    """(200, S) states, (200,) contacts and (200,) rewards of one sequence of actions."""
    environment.reset(seed)
    env: Any = environment._env
    stepping = environment._stepping if side == "robolearn" else StockStepping(env)
    seen, contacts, rewards = [], [], []
    for action in np.random.default_rng(seed).uniform(-1, 1, (200, 7)):
        rewards.append(stepping.step(action))
        seen.append(env.sim.get_state().flatten())
        contacts.append(env.sim.data.ncon)
    return np.array(seen), np.array(contacts), np.array(rewards)


def agreement(environment: RobosuiteEnvironment, sequences: int) -> dict[str, Any]:
    """How far the trajectories of both sides are apart."""
    before, overall, rewards_differ, steps_alike = [], [], 0, []
    for seed in range(sequences):
        ours, contacts, our_rewards = states(environment, "robolearn", seed)
        theirs, their_contacts, their_rewards = states(environment, "robosuite", seed)
        differing = np.abs(ours - theirs).max(axis=1)
        changed = (contacts != contacts[0]) | (their_contacts != contacts[0])
        first = int(np.argmax(changed)) if changed.any() else len(changed)
        before.append(float(differing[: max(first - 1, 1)].max()))
        steps_alike.append(first)
        overall.append(float(differing.max()))
        rewards_differ += int((our_rewards != their_rewards).sum())
    return {
        "sequences": sequences,
        "largest_difference_until_a_contact_changes": max(before),
        "median_steps_until_then": statistics.median(steps_alike),
        "median_of_largest_differences_overall": statistics.median(overall),
        "rewards_that_differ": rewards_differ,
    }


def reset_ms(environment: RobosuiteEnvironment) -> float:
    times = []
    for seed in range(30):
        begin = time.process_time()
        environment.reset(seed)
        times.append((time.process_time() - begin) * 1e3)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sequences", type=int, default=20)
    arguments = parser.parse_args()
    sides = ("robolearn", "robosuite", "raw physics")
    tasks: dict[str, Any] = {}
    for name in TASKS:
        environment = RobosuiteEnvironment(load_task(f"sim:{name}"))
        stock = robosuites_own(environment)
        found: dict[str, list[float]] = {side: [] for side in sides}
        for side in sides:
            speed(environment, stock, side, seed=0)
        for seed in range(arguments.rounds):
            for side in sides if seed % 2 else sides[::-1]:
                found[side].append(speed(environment, stock, side, seed))
        medians = {side: statistics.median(values) for side, values in found.items()}
        times = statistics.median(
            ours / theirs
            for ours, theirs in zip(found["robolearn"], found["robosuite"], strict=True)
        )
        begin = time.process_time()
        RobosuiteEnvironment(load_task(f"sim:{name}")).close()
        made_again = time.process_time() - begin
        tasks[name] = {
            "steps_per_s": {side: round(value, 1) for side, value in medians.items()},
            "slowest_and_fastest": {
                side: [round(min(values), 1), round(max(values), 1)]
                for side, values in found.items()
            },
            "ours_is_times_as_fast": round(times, 2),
            "goal": GOAL,
            "met": times >= GOAL,
            "reset_ms": round(reset_ms(environment), 2),
            "made_again_s": round(made_again, 3),
            "agreement": agreement(environment, arguments.sequences),
        }
        print(name, json.dumps(tasks[name]), flush=True)
        environment.close()
    machine = {"cores": os.cpu_count(), "system": platform.platform()}
    result = {"machine": machine, "rounds": arguments.rounds, "tasks": tasks}
    (RESULTS / "simulation.json").write_text(json.dumps(result, indent=2) + "\n")
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for offset, side in enumerate(sides):
        places = np.arange(len(TASKS)) + 0.27 * (offset - 1)
        axes.bar(places, [tasks[n]["steps_per_s"][side] for n in TASKS], 0.25, label=side)
    axes.set_xticks(range(len(TASKS)), TASKS)
    axes.set_ylabel("control steps a second, one core")
    axes.legend()
    figure.savefig(RESULTS / "simulation.png", dpi=110)


if __name__ == "__main__":
    main()
