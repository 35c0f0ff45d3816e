"""Control steps a second with two 84×84 cameras in software GL: robolearn's, and robosuite's.

    python benchmarks/rendering.py [--rounds 5]

``fast`` and ``full`` are robolearn's two qualities, with all that a policy waits for: the step, the
reward, every observable and both images. ``robosuite`` is ``robosuite.make`` with
``use_camera_obs`` and the same cameras. They are timed in turn in one process, with the same random
actions from the same seeds; one thread renders (``LP_NUM_THREADS=1``), as worker processes want it.
For Lift all is done again with as many threads as the software renderer starts by itself.

Writes benchmarks/results/rendering.json and rendering.png, and rendering_images.png, in which the
two qualities can be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MUJOCO_GL", "egl")

import matplotlib.pyplot as plt
import numpy as np

from robolearn.environments.rendering import gl_renderer
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.robosuite_import import import_robosuite
from robolearn.environments.task import load_task

RESULTS = Path(__file__).parent / "results"
TASKS = ("lift", "can", "square", "door")
CAMERAS = ("agentview", "robot0_eye_in_hand")
SIZE = 84
STEPS = 10
GOAL = 4.0
SIDES = ("fast", "full", "robosuite")


def ours(task: str, quality: Any) -> RobosuiteEnvironment:
    return RobosuiteEnvironment(load_task(f"sim:{task}").with_cameras(CAMERAS, SIZE, SIZE, quality))


def of_robosuite(environment: RobosuiteEnvironment) -> Any:
    """The same task as robosuite itself makes it, with cameras."""
    env_args = environment.context.env_args
    cameras = {
        "has_offscreen_renderer": True,
        "use_camera_obs": True,
        "camera_names": list(CAMERAS),
        "camera_heights": SIZE,
        "camera_widths": SIZE,
    }
    return import_robosuite().make(env_args["env_name"], **env_args["env_kwargs"] | cameras)


def speed(reset: Callable[[int], None], step: Callable[[Any], None], size: int, seed: int) -> float:
    """Control steps a second."""
    reset(seed)
    actions = np.random.default_rng(seed).uniform(-1, 1, (STEPS + 1, size))
    step(actions[0])
    begin = time.perf_counter()
    for action in actions[1:]:
        step(action)
    return STEPS / (time.perf_counter() - begin)


def require_same_images(environment: RobosuiteEnvironment, stock: Any) -> None:
    """Raise unless robosuite's images are the full ones, for one state."""
    stock.sim._render_context_offscreen.gl_ctx.make_current()
    stock.reset()
    state = stock.sim.get_state().flatten()
    environment._env.sim.set_state_from_flattened(state)
    for simulation in (environment._env.sim, stock.sim):
        simulation.model.body_pos[:] = stock.sim.model.body_pos
        simulation.model.body_quat[:] = stock.sim.model.body_quat
        simulation.forward()
    stock.sim._render_context_offscreen.gl_ctx.make_current()
    observed = stock._get_observations(force_update=True)
    for camera in CAMERAS:
        image = environment.image(f"observation.images.{camera}")
        apart = np.abs(image.astype(int) - observed[f"{camera}_image"][::-1]).mean()
        if apart > 1:
            raise SystemExit(f"{camera}: robosuite's images differ by {apart:.1f} on average")


def compare(task: str, rounds: int) -> dict[str, Any]:
    environments = {quality: ours(task, quality) for quality in ("fast", "full")}
    size = environments["fast"].context.action.shape[0]
    stock = of_robosuite(environments["fast"])

    def step(environment: RobosuiteEnvironment) -> Callable[[Any], None]:
        def run(action: Any) -> None:
            environment.act(action)
            environment.observe()

        return run

    drive: dict[str, tuple[Callable[[int], Any], Callable[[Any], Any]]] = {
        quality: (environment.reset, step(environment))
        for quality, environment in environments.items()
    }
    require_same_images(environments["full"], stock)

    def reset_stock(_: int) -> None:
        # It never makes its GL context the current one again, and would draw nothing in ours.
        stock.sim._render_context_offscreen.gl_ctx.make_current()
        stock.reset()

    drive["robosuite"] = (reset_stock, stock.step)
    found: dict[str, list[float]] = {side: [] for side in SIDES}
    for seed in range(rounds + 1):
        for side in SIDES if seed % 2 else SIDES[::-1]:
            found[side].append(speed(*drive[side], size, seed))
    for environment in environments.values():
        environment.close()
    stock.close()
    began = time.perf_counter()
    again = ours(task, "fast")
    made = time.perf_counter() - began
    again.close()
    rates = {side: values[1:] for side, values in found.items()}  # the first one warms up
    medians = {side: statistics.median(values) for side, values in rates.items()}
    ratios = [fast / other for fast, other in zip(rates["fast"], rates["robosuite"], strict=True)]
    return {
        "steps_per_s": {side: round(value, 2) for side, value in medians.items()},
        "slowest_and_fastest": {
            side: [round(min(values), 2), round(max(values), 2)] for side, values in rates.items()
        },
        "fast_is_times_as_fast": round(statistics.median(ratios), 1),
        "goal": GOAL,
        "met": statistics.median(ratios) >= GOAL,
        "made_again_s": round(made, 3),
    }


def in_a_process(task: str, rounds: int, threads: str | None) -> dict[str, Any]:
    """Compared where the software renderer has so many threads; None is its own choice."""
    environment = {name: value for name, value in os.environ.items() if name != "LP_NUM_THREADS"}
    if threads is not None:
        environment["LP_NUM_THREADS"] = threads
    command = [sys.executable, __file__, "--rounds", str(rounds), "--task", task]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(task, threads or "its own number of threads", json.dumps(result), flush=True)
    return result


def pictures() -> None:
    figure, axes = plt.subplots(4, len(TASKS), figsize=(8, 8.4), layout="constrained")
    for column, task in enumerate(TASKS):
        for first, quality in enumerate(("full", "fast")):
            environment = ours(task, quality)
            environment.reset(seed=1)
            for second, camera in enumerate(CAMERAS):
                axis = axes[2 * second + first, column]
                axis.imshow(environment.image(f"observation.images.{camera}"))
                axis.set(xticks=[], yticks=[], title=f"{task}, {quality}")
            environment.close()
    figure.savefig(RESULTS / "rendering_images.png", dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--task", choices=TASKS, help="compare this one, and print the result")
    arguments = parser.parse_args()
    if arguments.task:
        print(json.dumps(compare(arguments.task, arguments.rounds)))
        return
    tasks = {task: in_a_process(task, arguments.rounds, "1") for task in TASKS}
    backend, device = gl_renderer() or ("none", "none")
    result = {
        "machine": {
            "cores": os.cpu_count(),
            "system": platform.platform(),
            "gl": f"{backend}, {device}",
        },
        "rounds": arguments.rounds,
        "steps": STEPS,
        "tasks": tasks,
        "lift_with_the_renderers_own_threads": in_a_process("lift", arguments.rounds, None),
    }
    (RESULTS / "rendering.json").write_text(json.dumps(result, indent=2) + "\n")
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for offset, side in enumerate(SIDES):
        bars = axes.bar(
            np.arange(len(TASKS)) + 0.27 * (offset - 1),
            [tasks[task]["steps_per_s"][side] for task in TASKS],
            0.25,
            label=side,
        )
        axes.bar_label(bars, fmt="%.0f", fontsize=8)
    axes.set_xticks(range(len(TASKS)), TASKS)
    axes.set_ylabel("control steps a second,\ntwo 84×84 cameras, software GL")
    axes.legend()
    figure.savefig(RESULTS / "rendering.png", dpi=110)
    pictures()


if __name__ == "__main__":
    main()
