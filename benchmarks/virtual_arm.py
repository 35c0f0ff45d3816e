"""The virtual SO-101 through LeRobot's own drivers: round trips, physics, cameras, success.

    python benchmarks/virtual_arm.py

Round trips of a sync read and a sync write of six servos without and with two cameras rendered; how
much of a core the physics takes and what it gave up; frames a second of two cameras at 240x320; and
the scripted hand, which picks the cube up by the leader on 50 seeds while the follower is told the
leader's pose 30 times a second. It says, too, what a bare pseudo-terminal takes here: that is the
operating system's share of a round trip. Writes benchmarks/results/virtual_arm.json and
virtual_arm.png.
"""

from __future__ import annotations

import json
import os
import threading
import time
import tty
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from lerobot.robots.so_follower import SO101Follower, SO101FollowerConfig
from lerobot.teleoperators.so_leader import SO101Leader, SO101LeaderConfig

from robolearn.environments.virtual_arm.frames import FrameReader
from robolearn.environments.virtual_arm.virtual_arm import VirtualArm

RESULTS = Path(__file__).parent / "results"
ROUNDS = 1000
CAMERA_SECONDS = 15
SEEDS = 50
RATE = 30


def patient(device):
    """LeRobot waits 50 ms for an answer; this machine is shared, and its pauses are to be seen."""
    wire = device.bus.port_handler
    wire.setPacketTimeout = lambda length: wire.setPacketTimeoutMillis(2000)
    return device


def follower_of(arm: VirtualArm):
    return patient(
        SO101Follower(
            SO101FollowerConfig(
                port=arm.follower_port, id="follower", calibration_dir=arm.calibration_dir
            )
        )
    )


def leader_of(arm: VirtualArm):
    return patient(
        SO101Leader(
            SO101LeaderConfig(
                port=arm.leader_port, id="leader", calibration_dir=arm.calibration_dir
            )
        )
    )


def percentiles(seconds: list[float]) -> dict[str, float]:
    values = np.percentile(np.array(seconds) * 1e3, [50, 90, 99])
    return dict(zip(("median_ms", "p90_ms", "p99_ms"), values.round(3).tolist(), strict=True))


def timed(do) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def bare_terminal() -> dict[str, float]:
    """An echo through a pseudo-terminal, of as many bytes as a sync read has."""
    master, slave = os.openpty()
    tty.setraw(slave)

    def echo() -> None:
        while (data := os.read(master, 64)) != b"x" * 14:
            os.write(master, data + bytes(34))

    thread = threading.Thread(target=echo, daemon=True)
    thread.start()

    def there_and_back() -> None:
        os.write(slave, bytes(14))
        left = 48
        while left > 0:
            left -= len(os.read(slave, left))

    times = [timed(there_and_back) for _ in range(ROUNDS)]
    os.write(slave, b"x" * 14)
    thread.join()
    os.close(master)
    os.close(slave)
    return percentiles(times)


def round_trips(arm: VirtualArm) -> dict[str, dict[str, float]]:
    follower = follower_of(arm)
    follower.connect(calibrate=False)
    position = follower.bus.sync_read("Present_Position")
    reads, writes = [], []
    for _ in range(ROUNDS):
        reads.append(timed(lambda: follower.bus.sync_read("Present_Position")))
        writes.append(timed(lambda: follower.bus.sync_write("Goal_Position", position)))
        time.sleep(0.002)
    follower.disconnect()
    return {"sync_read": percentiles(reads), "sync_write": percentiles(writes)}


def pace(arm: VirtualArm, seconds: float) -> dict[str, float]:
    before, began = arm.pace(), time.monotonic()
    time.sleep(seconds)
    after, wall = arm.pace(), time.monotonic() - began
    gone = {name: after[name] - before[name] for name in before}
    return {
        "real_time_factor": round(gone["physics"] / wall, 4),
        "fastest_real_time_factor": round(gone["physics"] / gone["busy"], 1),
        "given_up_share": round(gone["given_up"] / wall, 4),
    }


def camera_rate(arm: VirtualArm) -> dict[str, float]:
    rates = {}
    for name, config in arm.cameras.items():
        reader = FrameReader(config.frames)
        first, began = reader.newest, time.monotonic()
        time.sleep(CAMERA_SECONDS / 2)
        rates[name] = round((reader.newest - first) / (time.monotonic() - began), 2)
        reader.close()
    return rates


def picks(arm: VirtualArm) -> dict[str, object]:
    follower, leader = follower_of(arm), leader_of(arm)
    follower.connect(calibrate=False)
    leader.connect(calibrate=False)
    failed = []
    for seed in range(SEEDS):
        arm.reset(seed)
        arm.hand.pick(seed)
        due = time.monotonic()
        while arm.hand.moving:
            follower.send_action(leader.get_action())
            due = max(due + 1 / RATE, time.monotonic() - 0.1)
            time.sleep(max(0.0, due - time.monotonic()))
        if not arm.world().lifted:
            failed.append(seed)
        print(f"seed {seed}: {'failed' if seed in failed else 'lifted'}", flush=True)
    follower.disconnect()
    leader.disconnect()
    return {"seeds": SEEDS, "lifted": SEEDS - len(failed), "failed": failed}


def draw(results: dict) -> None:
    figure, axes = plt.subplots(figsize=(8, 3))
    bars = {
        "bare pseudo-terminal": results["bare_terminal"],
        "sync read": results["without_cameras"]["sync_read"],
        "sync write": results["without_cameras"]["sync_write"],
        "sync read, two cameras": results["with_cameras"]["sync_read"],
        "sync write, two cameras": results["with_cameras"]["sync_write"],
    }
    places = np.arange(len(bars))
    for shift, key in zip((-0.25, 0, 0.25), ("median_ms", "p90_ms", "p99_ms"), strict=True):
        label = key.removesuffix("_ms").replace("p", "", 1) if key != "median_ms" else "median"
        suffix = "" if key == "median_ms" else "th percentile"
        axes.barh(places + shift, [bar[key] for bar in bars.values()], 0.24, label=label + suffix)
    axes.set_yticks(places, bars)
    axes.invert_yaxis()
    axes.set_xlabel("ms, six servos")
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(RESULTS / "virtual_arm.png", dpi=110)


def main() -> None:
    results: dict = {"load_average_before": round(os.getloadavg()[0], 1)}
    results["bare_terminal"] = bare_terminal()
    with VirtualArm(cameras=()) as arm:
        results["without_cameras"] = {**round_trips(arm), "physics": pace(arm, 10)}
    with VirtualArm() as arm:
        results["with_cameras"] = {
            **round_trips(arm),
            "physics": pace(arm, 10),
            "frames_a_second_of_30": camera_rate(arm),
        }
    print(json.dumps(results, indent=2), flush=True)
    # As fast as they can, to see what two cameras cost.
    with VirtualArm(fps=240) as arm:
        results["fastest_frames_a_second"] = camera_rate(arm)
    with VirtualArm(cameras=()) as arm:
        results["scripted_hand"] = picks(arm)
    results["load_average_after"] = round(os.getloadavg()[0], 1)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "virtual_arm.json").write_text(json.dumps(results, indent=2) + "\n")
    draw(results)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
