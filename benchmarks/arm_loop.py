"""How steadily an arm's loop runs, and how soon it is at rest when something goes wrong.

    robolearn virtual-arm …                      # says in which folder it runs
    .venv/bin/python benchmarks/arm_loop.py PROFILE --folder FOLDER

The loop is timed by when the process that holds the arm sent its targets. When the arm is at rest
is told by the physics, not by what was sent: an onlooker asks the virtual arm where its joints are.
Seconds count from the moment at which the watchdog's limit was over; where there is no limit (the
agent was killed, the cable was pulled out), from what happened. The virtual arm is needed for the
faults alone; without --folder the loop of any arm is timed, whose joints swing about home by a
tenth of their range.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from robolearn.environments.arms.environment import LeRobotEnvironment
from robolearn.environments.arms.profile import load_arm

RESULTS = Path(__file__).parent / "results"
OFF = 2e-3
"""s from its deadline that a step may be."""
STILL = 0.05
"""rad/s below which a joint is at rest."""
AHEAD = 60
"""Control steps of the long way before something goes wrong."""
FAULTS = ("killed", "stopped", "unplugged", "frozen")


def swing(environment: LeRobotEnvironment, seconds: float, home: np.ndarray) -> np.ndarray:
    """(T, 4): when steps were sent, and what supervisor, writing and reading took."""
    feature = environment.context.action
    reach = 0.05 * (np.array(feature.high) - np.array(feature.low))
    rate = environment.context.rate
    rows = []
    began = time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        ramp = min(1.0, now / 2)
        environment.act(home + ramp * reach * np.sin(2 * np.pi * 0.2 * now))
        environment.observe()
        tick = environment.tick
        rows.append((tick.time, *tick.costs))
        if tick.halted:
            raise SystemExit(f"the arm was brought to a halt: {tick.halted} ({rate:g} Hz)")
    return np.array(rows)


def timing(target: str, seconds: float) -> tuple[dict[str, object], np.ndarray]:
    """Periods of a steady loop."""
    arm = load_arm(target)
    environment = LeRobotEnvironment(arm)
    try:
        environment.reset(seed=0)
        rows = swing(environment, seconds, environment.sent)
    finally:
        environment.close()
    period = 1 / arm.profile.rate
    sent = rows[:, 0]
    steps = np.round((sent - sent[0]) / period)
    # The deadlines are absolute: all steps lie on one grid.
    off = sent - sent[0] - steps * period
    off -= np.median(off)
    return {
        "seconds": seconds,
        "rate": arm.profile.rate,
        "steps": len(sent),
        "share within 2 ms": float((np.abs(off) < OFF).mean()),
        "greatest ms off": float(1e3 * np.abs(off).max()),
        "steps missed": int(steps[-1] + 1 - len(sent)),
        "supervisor p99 ms": float(1e3 * np.percentile(rows[:, 1], 99)),
        "write p99 ms": float(1e3 * np.percentile(rows[:, 2], 99)),
        "read p99 ms": float(1e3 * np.percentile(rows[:, 3], 99)),
    }, off


def drive_far(target: str) -> None:
    """As a process of its own: to and fro between the ends of the range. Never ends."""
    environment = LeRobotEnvironment(load_arm(target))
    environment.reset(seed=0)
    high = np.array(environment.context.action.high)
    low = np.array(environment.context.action.low)
    turn = 0
    while True:
        environment.act(high if turn // 20 % 2 else low)
        turn += 1
        tick = environment.tick
        print(tick.time, flush=True)


class Onlooker:
    """Writes down where the virtual arm's joints are, as often as it answers.

    Args:
        folder: in which it runs.
    """

    def __init__(self, folder: Path) -> None:
        from robolearn.environments.virtual_arm.virtual_arm import RunningArm

        self._arm = RunningArm(folder)
        self._ending = threading.Event()
        self._seen: list[tuple[float, np.ndarray]] = []
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._ending.is_set():
            self._seen.append((time.monotonic(), np.array(self._arm.world().follower)))
            time.sleep(2e-3)

    def end(self) -> tuple[np.ndarray, np.ndarray]:
        """(T,) when, and (T - 1,) the greatest speed of a joint from then on, rad/s."""
        self._ending.set()
        self._thread.join()
        self._arm.close()
        times = np.array([when for when, _ in self._seen])
        places = np.array([where for _, where in self._seen])
        speeds = np.abs(np.diff(places, axis=0)).max(axis=1) / np.diff(times)
        return times, speeds


def struck(profile: str, folder: Path, how: str) -> tuple[dict[str, object], np.ndarray]:
    """Strike in the middle of a long way, and see when the arm is at rest."""
    from robolearn.environments.virtual_arm.faults import FreezeCamera, Unplug
    from robolearn.environments.virtual_arm.virtual_arm import RunningArm

    watchdog = load_arm(profile).profile.watchdog
    agent = subprocess.Popen(
        [sys.executable, __file__, profile, "--drive-far"], stdout=subprocess.PIPE, text=True
    )
    if agent.stdout is None:
        raise SystemExit("the agent's process says nothing")
    for _ in range(AHEAD):
        agent.stdout.readline()
    onlooker = Onlooker(folder)
    time.sleep(0.3)
    limit = 0.0
    with RunningArm(folder) as arm:
        match how:
            case "killed":
                agent.kill()
            case "stopped":
                agent.send_signal(signal.SIGSTOP)
                limit = watchdog.agent
            case "unplugged":
                arm.fault(Unplug())
            case "frozen":
                arm.fault(FreezeCamera("front"))
                limit = watchdog.cameras
        moment = time.monotonic()
        time.sleep(limit + 1.5)
        times, speeds = onlooker.end()
        agent.kill()
        agent.wait()
        arm.repair()
    after = times[:-1] - moment - limit
    moving = after[speeds > STILL]
    seconds = float(moving.max()) if len(moving) else 0.0
    moved = speeds[(after > -limit - 0.2) & (after < -limit)]
    return {
        "fault": how,
        "limit s": limit,
        "rad/s before": float(moved.max()),
        "at rest s after the limit": seconds,
    }, np.stack([after, speeds])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--folder", type=Path, help="of the virtual arm")
    parser.add_argument("--drive-far", action="store_true")
    arguments = parser.parse_args()
    if arguments.drive_far:
        drive_far(arguments.target)
    result: dict[str, object] = {
        "command": f"benchmarks/arm_loop.py {arguments.target} --seconds {arguments.seconds:g}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
    if arguments.folder is not None:
        faults = []
        for how in FAULTS:
            found, course = struck(arguments.target, arguments.folder, how)
            faults.append(found)
            right.plot(*course, label=how)
        result["faults"] = faults
        right.axvline(0.1, color="#cc3311", linestyle="--", label="100 ms")
        right.set(xlim=(-0.3, 0.5), xlabel="s after the watchdog's limit", ylabel="rad/s")
        right.set_title("the quickest joint")
        right.legend()
    loop, off = timing(arguments.target, arguments.seconds)
    result["loop"] = loop
    print(json.dumps(result, indent=2))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "arm_loop.json").write_text(json.dumps(result, indent=2) + "\n")
    left.hist(1e3 * off, bins=200, log=True, color="#4477aa")
    left.axvspan(-1e3 * OFF, 1e3 * OFF, color="#228833", alpha=0.15, label="2 ms")
    left.set(
        xlabel="ms from the deadline",
        ylabel="control steps",
        title=f"{loop['steps']:,} steps at {loop['rate']:g} Hz, {loop['seconds']:g} s",
    )
    left.legend()
    figure.savefig(RESULTS / "arm_loop.png", dpi=120)


if __name__ == "__main__":
    main()
