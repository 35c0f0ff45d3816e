"""What recording two 480×640 cameras at 30 Hz costs the control loop, beside LeRobot's recording.

    python benchmarks/recording.py [--minutes 10] [--seconds 60]

The control loop runs in real time. As JPEG, one episode of ten minutes is recorded; in the other
forms, and by LeRobot (PNG by four threads, and video encoded while recording), one of a minute.
Measured is the time that the loop spends in the recorder at each frame; images lost; the most
memory that the process held; how long the episode takes to be kept afterwards, and its size.

Writes benchmarks/results/recording.json and recording.png.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from robolearn.control.clock import Clock

RESULTS = Path(__file__).parent / "results"
RATE = 30.0
CAMERAS = ("front", "wrist")
STATES, ACTIONS = 14, 7
SIDES = ("jpeg", "lossless", "raw", "lerobot png", "lerobot video")


def pictures() -> list[np.ndarray]:
    """Thirty moving pictures with edges, gradients and the noise of a sensor."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:480, 0:640]
    found = []
    for shift in range(30):
        wave = 128 + 80 * np.sin((x + 8 * shift) / 60 + y / 90)
        tiles = 30 * (((x + 4 * shift) // 40 + y // 40) % 2)
        picture = np.stack([wave + tiles, wave, 255 - wave], -1)
        found.append(np.clip(picture + random.normal(0, 2, picture.shape), 0, 255).astype(np.uint8))
    return found


def in_real_time(
    frames: int, hand_over: Callable[[int, dict[str, np.ndarray]], None]
) -> list[float]:
    """Hand frames over at the rate; milliseconds that each of them took."""
    shown = pictures()
    clock, times = Clock(RATE), []
    for frame in range(frames):
        # A camera gives a new array each time.
        images = {name: shown[(frame + k) % len(shown)].copy() for k, name in enumerate(CAMERAS)}
        began = time.perf_counter()
        hand_over(frame, images)
        times.append(1000 * (time.perf_counter() - began))
        clock.wait()
    return times


def by_robolearn(codec: str, frames: int, folder: Path) -> dict[str, Any]:
    from robolearn.episodes.features import ActionFeature, Feature
    from robolearn.episodes.formats.folder import FolderWriter
    from robolearn.episodes.frames import EpisodeContext, Observation, Outcome, Step
    from robolearn.episodes.recorder import Recorder

    names = {name: f"observation.images.{name}" for name in CAMERAS}
    context = EpisodeContext(
        {
            "observation.state": Feature("float32", (STATES,)),
            **{name: Feature("uint8", (480, 640, 3)) for name in names.values()},
        },
        ActionFeature("float32", (ACTIONS,), None, (-1.0,) * ACTIONS, (1.0,) * ACTIONS),
        task="benchmark",
        rate=RATE,
    )
    with FolderWriter(folder / "dataset") as writer:
        recorder = Recorder(writer.journal(), "benchmark", images=codec)
        recorder.on_reset(context)
        action = np.zeros(ACTIONS, np.float32)
        before: list[Observation] = []

        def hand_over(frame: int, images: dict[str, np.ndarray]) -> None:
            values = {"observation.state": np.full(STATES, frame, np.float32)}
            values |= {names[name]: image for name, image in images.items()}
            now = Observation(values, dict.fromkeys(values, time.monotonic()), frame / RATE)
            if before:
                recorder.on_step(
                    Step(frame - 1, before.pop(), action, action, time.monotonic(), now)
                )
            before.append(now)

        times = in_real_time(frames + 1, hand_over)[1:]
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.perf_counter()
        recorder.on_end(Outcome(frames, None, None, "horizon"))
        number = recorder.keep(writer)
        if writer.summaries_by_number[number].frames != frames:
            raise RuntimeError("the episode is not whole")
        kept = time.perf_counter() - began
        lost = sum(recorder.lost_images.values())
    return result(times, lost, memory, kept, folder)


def by_lerobot(form: str, frames: int, folder: Path) -> dict[str, Any]:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    video = form == "video"
    image = {"dtype": "video" if video else "image", "shape": (480, 640, 3)}
    image["names"] = ["height", "width", "channels"]
    dataset = LeRobotDataset.create(
        "benchmark/recording",
        int(RATE),
        {
            "observation.state": {"dtype": "float32", "shape": (STATES,), "names": None},
            "action": {"dtype": "float32", "shape": (ACTIONS,), "names": None},
            **{f"observation.images.{name}": image for name in CAMERAS},
        },
        root=folder / "dataset",
        use_videos=video,
        streaming_encoding=video,
        image_writer_threads=0 if video else 2 * len(CAMERAS),
    )
    action = np.zeros(ACTIONS, np.float32)

    def hand_over(frame: int, images: dict[str, np.ndarray]) -> None:
        values = {f"observation.images.{name}": image for name, image in images.items()}
        values["observation.state"] = np.full(STATES, frame, np.float32)
        dataset.add_frame(values | {"action": action, "task": "benchmark"})

    times = in_real_time(frames, hand_over)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    dataset.save_episode()
    dataset.finalize()
    return result(times, None, memory, time.perf_counter() - began, folder)


def result(
    times: list[float], lost: int | None, memory: int, kept: float, folder: Path
) -> dict[str, Any]:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    p50, p99 = np.percentile(times, (50, 99))
    return {
        "frames": len(times),
        "loop_ms": {"p50": round(p50, 3), "p99": round(p99, 3), "max": round(max(times), 3)},
        "late_frames": sum(spent > 1000 / RATE for spent in times),
        "images_lost": lost,
        "memory_mb": round(memory / 1024),
        "kept_after_s": round(kept, 2),
        "megabytes_a_minute": round(size / 1e6 / (len(times) / RATE / 60), 1),
    }


def one_side(side: str, frames: int) -> None:
    """Measure in this process, and print the result as the last line."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        peer, _, form = side.partition(" ")
        measured = (
            by_lerobot(form, frames, Path(folder))
            if peer == "lerobot"
            else by_robolearn(side, frames, Path(folder))
        )
    print(json.dumps(measured))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10, help="of the JPEG episode")
    parser.add_argument("--seconds", type=float, default=60, help="of the other episodes")
    parser.add_argument("--side", choices=SIDES, help="measure only this one, here")
    arguments = parser.parse_args()
    short, long = round(arguments.seconds * RATE), round(arguments.minutes * 60 * RATE)
    if arguments.side:
        one_side(arguments.side, long if arguments.side == "jpeg" else short)
        return
    sides = {}
    for side in SIDES:
        command = [sys.executable, __file__, "--side", side]
        command += ["--minutes", str(arguments.minutes), "--seconds", str(arguments.seconds)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        sides[side] = json.loads(done.stdout.splitlines()[-1])
        print(side, sides[side])
    RESULTS.mkdir(exist_ok=True)
    report = {"rate": RATE, "cameras": "2 of 480x640x3", "sides": sides}
    (RESULTS / "recording.json").write_text(json.dumps(report, indent=2))
    figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    places = np.arange(len(SIDES))
    for offset, key in ((-0.2, "p50"), (0.2, "p99")):
        values = [sides[side]["loop_ms"][key] for side in SIDES]
        axes.barh(places + offset, values, height=0.38, label=key)
    axes.set_yticks(places, SIDES)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.axvline(2.0, linestyle=":", color="black")
    axes.set_xlabel(
        "ms of the control loop's time a frame (dotted: the goal at the 99th percentile)"
    )
    axes.legend()
    figure.savefig(RESULTS / "recording.png", dpi=110)


if __name__ == "__main__":
    main()
