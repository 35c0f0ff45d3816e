"""How steadily an arm's loop runs, and how soon it is at rest when something goes wrong.

    .venv/bin/python benchmarks/arm_loop.py [TARGET] [--seconds 600]

TARGET is real:virtual-so101 if none is named; a virtual arm is started, with two cameras at
240x320. The loop is timed by when the process that holds the arm sent its targets; the joints swing
about home by a tenth of their range. What goes wrong is tried on a virtual arm alone, in the middle
of a long way of the shoulder, several times. An onlooker asks the virtual arm, which tells it from
its physics and its servos' registers, when the last new target came to a servo, and when the last
joint was at rest: servos go on to where they were told to be. Seconds count from the moment at
which the watchdog's limit was over; where there is no limit (the agent was killed, the cable was
pulled out), from what happened. The machine's load is written down with the results.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
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
from robolearn.environments.arms.messages import Tick
from robolearn.environments.arms.presence import Present, present
from robolearn.environments.arms.profile import Arm, load_arm

RESULTS = Path(__file__).parent / "results"
OFF = 2e-3
"""s from its deadline that a step may be."""
STILL = 0.05
"""rad/s below which a joint is at rest."""
AHEAD = 60
"""Control steps of the long way before something goes wrong."""
SHOWN = 0.6
"""s after the watchdog's limit that are drawn."""
FAR = 1.4
"""rad to each side that the shoulder turns."""
TURN = 30
"""Control steps for each way."""
FAULTS = ("killed", "stopped", "unplugged", "frozen")
TIMES = 3
"""that each is tried."""


def swing(environment: LeRobotEnvironment, seconds: float, home: np.ndarray) -> np.ndarray:
    """(T, 4): when steps were sent, and what supervisor, writing and reading took; all steps, also
    those that the agent was too late for.
    """
    feature = environment.context.action
    reach = 0.05 * (np.array(feature.high) - np.array(feature.low))
    rate = environment.context.rate
    rows: list[tuple[float, ...]] = []
    link = environment._link
    receive = link._receive

    def noting(deadline: float) -> object:
        message = receive(deadline)
        if isinstance(message, Tick):
            rows.append((message.time, *message.costs))
        return message

    link._receive = noting
    environment.late = 0
    began = time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        ramp = min(1.0, now / 2)
        environment.act(home + ramp * reach * np.sin(2 * np.pi * 0.2 * now))
        environment.observe()
        if environment.halted:
            raise SystemExit(f"the arm was brought to a halt: {environment.halted} ({rate:g} Hz)")
    link._receive = receive
    return np.array(rows)


def timing(here: Present, seconds: float) -> tuple[dict[str, object], np.ndarray]:
    """Periods of a steady loop."""
    arm = here.arm
    environment = LeRobotEnvironment(arm, stage=here.stage)
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
        "steps without a new action": environment.late,
        "supervisor p99 ms": float(1e3 * np.percentile(rows[:, 1], 99)),
        "write p99 ms": float(1e3 * np.percentile(rows[:, 2], 99)),
        "read p99 ms": float(1e3 * np.percentile(rows[:, 3], 99)),
    }, off


def on(target: str, folder: Path | None) -> Arm:
    """An arm; the virtual one that runs in a folder, if one is named."""
    arm = load_arm(target)
    virtual = arm.profile.virtual
    if folder is None or virtual is None:
        return arm
    virtual = dataclasses.replace(virtual, folder=str(folder))
    return dataclasses.replace(arm, profile=dataclasses.replace(arm.profile, virtual=virtual))


def drive_far(target: str, folder: Path) -> None:
    """As a process of its own: the shoulder goes to and fro. Never ends."""
    with present(on(target, folder)) as here:
        environment = LeRobotEnvironment(here.arm, stage=here.stage)
        environment.reset(seed=0)
        home = environment.sent
        turn = 0
        while True:
            asked = home.copy()
            asked[0] += FAR if turn // TURN % 2 else -FAR
            environment.act(asked.astype(np.float32))
            turn += 1
            if environment.halted:
                raise SystemExit(f"halted before anything went wrong: {environment.halted}")
            print(environment.tick.time, flush=True)


class Onlooker:
    """Writes down where the virtual arm's joints are, and are told to be, as often as it answers.

    Args:
        folder: in which it runs.
    """

    def __init__(self, folder: Path) -> None:
        from robolearn.environments.virtual_arm.virtual_arm import RunningArm

        self._arm = RunningArm(folder)
        self._ending = threading.Event()
        self._seen: list[tuple[float, float, np.ndarray, np.ndarray]] = []
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._ending.is_set():
            world = self._arm.world()
            self._seen.append((time.monotonic(), world.time, world.follower, world.told))
            time.sleep(2e-3)

    def end(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What was seen.

        Returns:
            (T,) when; (T - 1,) the greatest speed of a joint until then, rad/s; whether a joint was
            told something new; (T - 1, 2) where the shoulder is and is told to be, rad.
        """
        self._ending.set()
        self._thread.join()
        self._arm.close()
        times, physics, places, told = (np.array(each) for each in zip(*self._seen, strict=True))
        fresh = np.flatnonzero(np.diff(physics, prepend=-1.0))  # the world has gone on
        times, physics, places, told = times[fresh], physics[fresh], places[fresh], told[fresh]
        speeds = np.abs(np.diff(places, axis=0)).max(axis=1) / np.diff(physics)
        new = (np.diff(told, axis=0) != 0).any(axis=1)
        return times[1:], speeds, new, np.stack([places[1:, 0], told[1:, 0]], axis=1)


def struck(profile: str, folder: Path, how: str) -> tuple[dict[str, object], np.ndarray]:
    """Strike in the middle of a long way, and see when the arm is at rest."""
    from robolearn.environments.virtual_arm.faults import FreezeCamera, Unplug
    from robolearn.environments.virtual_arm.virtual_arm import RunningArm

    watchdog, rate = load_arm(profile).profile.watchdog, load_arm(profile).profile.rate
    agent = subprocess.Popen(
        [sys.executable, __file__, profile, "--drive-far", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    if agent.stdout is None:
        raise SystemExit("the agent's process says nothing")
    steps = agent.stdout
    limit = {"stopped": watchdog.agent, "frozen": watchdog.cameras}.get(how, 0.0)
    for _ in range(AHEAD):
        steps.readline()
    onlooker = Onlooker(folder)
    # So that the limit is over when the shoulder is half way, and quickest.
    for _ in range(TURN + round(TURN / 2 - limit * rate) % TURN):
        if not steps.readline():  # a busy machine
            onlooker.end()
            agent.wait()
            return struck(profile, folder, how)
    with RunningArm(folder) as arm:
        match how:
            case "killed":
                agent.kill()
            case "stopped":
                agent.send_signal(signal.SIGSTOP)
            case "unplugged":
                arm.fault(Unplug())
            case "frozen":
                arm.fault(FreezeCamera("front"))
        moment = time.monotonic()
        time.sleep(limit + 1.5)
        times, speeds, new, shoulder = onlooker.end()
        agent.kill()
        agent.wait()
        arm.repair()
    after = times - moment - limit
    moved = speeds[np.abs(after) < 0.02]
    return {
        "fault": how,
        "limit s": limit,
        "rad/s at the limit": float(moved.max(initial=0.0)),
        "last target s after the limit": float(after[new].max(initial=0.0)),
        "at rest s after the limit": float(after[speeds > STILL].max(initial=0.0)),
    }, np.column_stack([after, shoulder])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target", nargs="?", default="real:virtual-so101")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--drive-far", type=Path, help="in the folder of a virtual arm; own use")
    arguments = parser.parse_args()
    if arguments.drive_far:
        drive_far(arguments.target, arguments.drive_far)
    result: dict[str, object] = {
        "command": f"benchmarks/arm_loop.py {arguments.target} --seconds {arguments.seconds:g}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load average before": os.getloadavg()[0],
    }
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
    with contextlib.ExitStack() as held:
        folder = None
        if load_arm(arguments.target).profile.virtual is not None:
            from robolearn.environments.virtual_arm.virtual_arm import VirtualArm

            folder = held.enter_context(VirtualArm()).folder
            faults = []
            for how, colour in zip(FAULTS, ("C0", "C1", "C2", "C4"), strict=True):
                for _ in range(TIMES):
                    found, course = struck(arguments.target, folder, how)
                    print(json.dumps(found), flush=True)
                    faults.append(found)
                after, is_at, told = course[course[:, 0] < SHOWN].T  # of the last time
                right.plot(after, np.degrees(is_at - told[-1]), color=colour, label=how)
                right.step(
                    after, np.degrees(told - told[-1]), color=colour, linewidth=0.8, where="post"
                )
            result["faults"] = faults
            right.axvline(0.1, color="#cc3311", linestyle="--", label="100 ms")
            right.set(xlim=(-0.3, SHOWN), xlabel="s after the watchdog's limit", ylabel="degrees")
            right.set_title("shoulder: where it is, and (thin) what it was told")
            right.legend()
        here = held.enter_context(present(on(arguments.target, folder)))
        loop, off = timing(here, arguments.seconds)
    result["loop"] = loop
    result["load average after"] = os.getloadavg()[0]
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
