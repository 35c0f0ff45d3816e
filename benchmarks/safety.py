"""The safety supervisor: 100,000 random sequences, and what a step of it costs.

    nice -n 5 .venv/bin/python benchmarks/safety.py

Each sequence draws limits, a rate and what is asked: jumps, drifts, twitches, noise, halts, numbers
that are none. What is sent is then looked at by code that shares nothing with the supervisor:
finite differences of positions. The cost is that of an arm of six joints with a model in MuJoCo:
box, plane, tool speed and self-collision.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections import Counter
from pathlib import Path
from typing import Any

import matplotlib
import mujoco
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import NullFormatter

from robolearn.environments.safety.geometry import Geometry, JointMap, Workspace
from robolearn.environments.safety.limiter import JointLimits
from robolearn.environments.safety.reasons import Reason
from robolearn.environments.safety.supervisor import Supervisor

RESULTS = Path(__file__).parent / "results"
STEPS = 30
SHARED_LIMITS = 100
"""Sequences with one set of limits: making a supervisor takes longer than a sequence."""

LINK = """<body pos="0 0 {length}"><joint name="j{number}" axis="{axis}" range="-2.6 2.6"/>
<geom type="capsule" size="0.015" fromto="0 0 0.03 0 0 {end}"/>{rest}</body>"""


def six_joints() -> str:
    """An arm like many: 0.45 m long, a table under it."""
    inner = '<site name="tool" pos="0 0 0.08"/>'
    for number in range(5, -1, -1):
        length = 0.08 if number else 0.05
        axis = "0 0 1" if number in (0, 4) else "0 1 0"
        inner = LINK.format(number=number, length=length, axis=axis, end=length - 0.01, rest=inner)
    return f'<mujoco><compiler angle="radian"/><worldbody>{inner}</worldbody></mujoco>'


def asked_sequence(generator: np.random.Generator, size: int) -> np.ndarray:
    """(T, J) of what is asked."""
    scale = 10 ** generator.uniform(-3, 0.7)
    match generator.integers(6):
        case 0:  # jumps now and then
            jumps = generator.random((STEPS, 1)) < 0.1
            asked = np.cumsum(jumps * generator.normal(0, scale, (STEPS, size)), axis=0)
        case 1:  # another target each step
            asked = generator.normal(0, scale, (STEPS, size))
        case 2:  # drift
            asked = np.cumsum(generator.normal(0, 0.1 * scale, (STEPS, size)), axis=0)
        case 3:  # a swing
            phase = generator.uniform(0, 7, size)
            speed = generator.uniform(0.1, 10)
            asked = scale * np.sin(speed * np.arange(STEPS)[:, None] / 30 + phase)
        case 4:  # to the ends of the range, and far beyond
            asked = generator.choice([-1e9, -2.6, 2.6, 1e300], (STEPS, size))
        case _:  # still, with twitches
            asked = scale * (generator.random((STEPS, size)) < 0.05)
    nonsense = generator.random(STEPS) < 0.01
    asked[nonsense, 0] = generator.choice([np.nan, np.inf, -np.inf])
    return asked


def out_of_bounds(sent: np.ndarray, limits: JointLimits, dt: float) -> dict[str, float]:
    """Greatest share of each limit that (T, J) positions reach, by finite differences."""
    q = np.concatenate([np.repeat(sent[:1], 3, axis=0), sent])
    v = np.diff(q, axis=0) / dt
    a = np.diff(v, axis=0) / dt
    j = np.diff(a, axis=0) / dt
    middle, half = (limits.high + limits.low) / 2, (limits.high - limits.low) / 2
    return {
        "position": float((np.abs(sent - middle) / half).max()),
        "velocity": float((np.abs(v) / limits.velocity).max()),
        "acceleration": float((np.abs(a) / limits.acceleration).max()),
        "jerk": float((np.abs(j) / limits.jerk).max()),
        "step": float((np.abs(np.diff(q, axis=0)) / limits.step).max()),
    }


def sequences(count: int, seed: int) -> dict[str, Any]:
    """Many sequences on joints alone."""
    generator = np.random.default_rng(seed)
    worst: Counter[str] = Counter()
    changed_though_permitted = outside = 0
    reasons: Counter[Reason] = Counter()
    for number in range(count):
        if number % SHARED_LIMITS == 0:
            size = int(generator.integers(1, 8))
            rate = float(generator.choice([20, 30, 50, 60, 100, 200]))
            velocity = generator.uniform(0.2, 4, size)
            acceleration = velocity * 10 ** generator.uniform(0, 1.5, size)
            jerk = acceleration * 10 ** generator.uniform(0.5, 2, size)
            step = generator.uniform(0.02, 0.3, size)
            high = generator.uniform(0.2, 3, size)
            limits = JointLimits(-high, high, velocity, acceleration, jerk, step)
            together = generator.random(size) < 0.5
            supervisor = Supervisor(limits, 1 / rate, together=together)
        start = generator.uniform(-1, 1, size) * high
        supervisor.reset(start)
        sent = [start]
        for asked in asked_sequence(generator, size):
            position, bits = supervisor.step(asked)
            if not bits:
                changed_though_permitted += not np.array_equal(position, asked)
            sent.append(position)
        shares = out_of_bounds(np.array(sent), limits, 1 / rate)
        outside += max(shares.values()) > 1 + 1e-6
        for name, share in shares.items():
            worst[name] = max(worst[name], share)
        if number % SHARED_LIMITS == SHARED_LIMITS - 1:
            reasons.update(supervisor.counts)
    return {
        "sequences": count,
        "steps": count * STEPS,
        "sequences out of bounds": outside,
        "steps changed without a reason": changed_though_permitted,
        "greatest share of a limit": dict(worst),
        "steps changed, by reason": {reason.text: n for reason, n in reasons.items()},
    }


def costs(seed: int, steps: int) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """Milliseconds of the processor that a step takes, of an arm in space."""
    generator = np.random.default_rng(seed)
    model = mujoco.MjModel.from_xml_string(six_joints())
    names = [f"j{number}" for number in range(6)]
    joints = JointMap(model, names, [1.0] * 6, [0.0] * 6)
    workspace = Workspace(
        low=np.array([-0.4, -0.4, 0.02]),
        high=np.array([0.4, 0.4, 0.5]),
        planes=np.array([[0.0, 0.0, 1.0, 0.02]]),
        tool_speed=0.5,
        self_collision=True,
    )
    limits = JointLimits([-2.6] * 6, [2.6] * 6, [2.5] * 6, [40.0] * 6, [1500.0] * 6, [0.2] * 6)
    start = np.array([0.0, 0.6, 0.8, 0.6, 0.0, 0.0])
    swing = 0.1 * np.sin(np.arange(steps)[:, None] / 30 * np.linspace(0.5, 1.5, 6))
    jumps = np.repeat(generator.normal(0, 0.6, (steps // 20 + 1, 6)), 20, axis=0)[:steps]
    kinds = {
        "permitted motion": swing,
        "jumps": jumps,
        "noise": generator.normal(0, 0.3, (steps, 6)),
    }
    summary: dict[str, object] = {}
    taken: dict[str, np.ndarray] = {}
    for kind, offsets in kinds.items():
        geometry = Geometry(model, joints, "tool", workspace, 1 / 30)
        supervisor = Supervisor(limits, 1 / 30, geometry, np.full(6, fill_value=True))
        supervisor.reset(start + offsets[0] * (kind == "permitted motion"))
        times: list[float] = []
        changed = 0
        for offset in offsets:
            asked = start + offset
            began = time.thread_time()
            _, bits = supervisor.step(asked)
            times.append(1e3 * (time.thread_time() - began))
            changed += bits != 0
        taken[kind] = np.array(times)
        summary[kind] = {
            "median ms": float(np.median(times)),
            "p99 ms": float(np.percentile(times, 99)),
            "greatest ms": max(times),
            "share of steps changed": changed / steps,
        }
    return summary, taken


def draw(bounds: dict[str, Any], taken: dict[str, np.ndarray]) -> None:
    """The plot."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    shares = bounds["greatest share of a limit"]
    left.barh(list(shares), list(shares.values()), color="#4477aa")
    left.axvline(1, color="#cc3311", linestyle="--", label="limit")
    left.set(xlabel="greatest share of the limit that was sent", xlim=(0, 1.1))
    left.set_title(f"{bounds['sequences']:,} random sequences, {bounds['steps']:,} steps")
    left.legend(loc="lower left")
    for kind, times in taken.items():
        shares_above = 1 - np.arange(len(times)) / len(times)
        right.loglog(np.sort(times), shares_above, label=kind)
    right.axvline(0.2, color="#cc3311", linestyle="--", label="0.2 ms")
    right.axhline(0.01, color="0.7", linewidth=0.8)
    right.set_xticks([0.03, 0.05, 0.1, 0.2, 0.4], ["0.03", "0.05", "0.1", "0.2", "0.4"])
    right.xaxis.set_minor_formatter(NullFormatter())
    right.set(xlabel="ms", ylabel="share of steps that take longer", title="cost of a step")
    right.legend()
    figure.savefig(RESULTS / "safety.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sequences", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began = time.perf_counter()
    bounds = sequences(arguments.sequences, arguments.seed)
    bounds["seconds"] = time.perf_counter() - began
    cost, taken = costs(arguments.seed, arguments.steps)
    result = {
        "command": "benchmarks/safety.py",
        "machine": platform.processor() or platform.machine(),
        "seed": arguments.seed,
        "bounds": bounds,
        "cost of a step": cost,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "safety.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    draw(bounds, taken)


if __name__ == "__main__":
    main()
