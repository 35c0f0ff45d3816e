"""What looking costs: saving a recording, and the control loop under a live view.

    python benchmarks/viewing.py [--seconds 30]

Saving: 1,000 frames with two 96×96 cameras and 20 curves become a Rerun file; measured is its time
(the best of five) and its size, beside that of the JPEGs in it. The images are kept as JPEG in one
dataset, as they were sensed in the other.

Live: a loop in real time at 20 and 50 Hz with a 7-joint arm's states, 7 actions and two 240×320
cameras, recorded as JPEG, without and with a live view in a viewer of its own. Measured is what
`on_step` of the live view takes of the loop, by the clock and in the processor time of its thread,
and how far each period is from what it should be.

Writes benchmarks/results/viewing.json and viewing.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from robolearn.control.clock import Clock
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import EpisodeContext, Observation, Outcome, Step
from robolearn.episodes.images import CodecName
from robolearn.episodes.recorder import Recorder
from robolearn.viewing.images import jpegs
from robolearn.viewing.live import LiveView
from robolearn.viewing.recording import save_recording
from robolearn.viewing.viewer import in_browser

RESULTS = Path(__file__).parent / "results"
CAMERAS = ("front", "wrist")
FRAMES, SIZE, STATES, ACTIONS = 1000, 96, 13, 7
LIVE_HEIGHT, LIVE_WIDTH = 240, 320
RATES = (20.0, 50.0)


def make_context(height: int, width: int, rate: float) -> EpisodeContext:
    """20 curves: 13 numbers that are sensed and 7 that are sent."""
    return EpisodeContext(
        {
            "observation.state": Feature("float32", (STATES,)),
            **{
                f"observation.images.{name}": Feature("uint8", (height, width, 3))
                for name in CAMERAS
            },
        },
        ActionFeature("float32", (ACTIONS,), None, (-1.0,) * ACTIONS, (1.0,) * ACTIONS, (6,)),
        task="benchmark",
        rate=rate,
    )


def pictures(height: int, width: int, count: int) -> list[np.ndarray]:
    """Moving pictures with edges, gradients and the noise of a sensor."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[0:height, 0:width]
    found = []
    for shift in range(count):
        wave = 128 + 80 * np.sin((x + 4 * shift) / 30 + y / 45)
        tiles = 30 * (((x + 2 * shift) // 20 + y // 20) % 2)
        picture = np.stack([wave + tiles, wave, 255 - wave], -1)
        found.append(np.clip(picture + random.normal(0, 2, picture.shape), 0, 255).astype(np.uint8))
    return found


def observation(index: int, shown: list[np.ndarray], rate: float) -> Observation:
    """What is sensed at one instant: a camera gives a new array each time."""
    values = {"observation.state": np.sin(np.arange(STATES) + index / 20).astype(np.float32)}
    for offset, name in enumerate(CAMERAS):
        values[f"observation.images.{name}"] = shown[(index + offset) % len(shown)].copy()
    return Observation(values, dict.fromkeys(values, time.monotonic()), index / rate, success=False)


def record(folder: Path, images: CodecName) -> Path:
    """A dataset of one episode."""
    rate, shown = 20.0, pictures(SIZE, SIZE, 100)
    with FolderWriter(folder) as writer:
        recorder = Recorder(writer.journal(), "benchmark", images=images, wait=True)
        recorder.on_reset(make_context(SIZE, SIZE, rate))
        seen = observation(0, shown, rate)
        for index in range(FRAMES):
            after = observation(index + 1, shown, rate)
            action = np.cos(np.arange(ACTIONS) + index / 20).astype(np.float32)
            recorder.on_step(Step(index, seen, action, action, time.monotonic(), after))
            seen = after
        recorder.on_end(Outcome(FRAMES, None, None, "horizon"))
        recorder.keep(writer)
    return folder


def saving(folder: Path, images: CodecName) -> dict[str, Any]:
    """Time and size of a recording's file."""
    dataset = open_dataset(record(folder / images, images))
    episode, path = dataset.episode(0), folder / f"{images}.rrd"
    encoded = [data for each in episode.images.values() for data in jpegs(each, range(FRAMES))]
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        save_recording(dataset, path, title="benchmark")
        seconds.append(time.perf_counter() - began)
    size, of_jpegs = path.stat().st_size, sum(map(len, encoded))
    return {
        "seconds": min(seconds),
        "all_seconds": seconds,
        "megabytes": size / 1e6,
        "jpeg_megabytes": of_jpegs / 1e6,
        "times_the_jpegs": size / of_jpegs,
    }


def looping(rate: float, seconds: float, folder: Path, *, live: bool) -> dict[str, Any]:
    """One episode in real time; what the live view takes, and how exact the periods are."""
    context = make_context(LIVE_HEIGHT, LIVE_WIDTH, rate)
    shown = pictures(LIVE_HEIGHT, LIVE_WIDTH, 20)
    view = None
    if live:
        view = LiveView(in_browser(port=19490), context, "benchmark", "benchmark", print)
    costs, processor, times = [], [], []
    try:
        recorder = Recorder(folder / f"{rate}{live}.journal", "benchmark", images="jpeg")
        for observer in (recorder, view):
            if observer is not None:
                observer.on_reset(context)
        clock = Clock(rate)
        seen = observation(0, shown, rate)
        for index in range(round(seconds * rate)):
            action = np.cos(np.arange(ACTIONS) + index / 20).astype(np.float32)
            sent = time.monotonic()
            clock.wait()
            times.append(time.monotonic())
            after = observation(index + 1, shown, rate)
            step = Step(index, seen, action, action, sent, after)
            recorder.on_step(step)
            if view is not None:
                began, used = time.perf_counter(), time.thread_time()
                view.on_step(step)
                processor.append(1e3 * (time.thread_time() - used))
                costs.append(1e3 * (time.perf_counter() - began))
            seen = after
        outcome = Outcome(len(times), None, None, "horizon")
        dropped = None if view is None else view.dropped
        if view is not None:
            view.on_end(outcome)
        recorder.on_end(outcome)
        recorder.discard()
    finally:
        if view is not None:
            view.close()
    errors = np.abs(1e3 * np.diff(times) - 1e3 / rate)
    found: dict[str, Any] = {
        "period_error_ms": _figures(errors),
        "missed_deadlines": clock.missed,
        "steps": len(times),
    }
    if live:
        found |= {
            "on_step_ms": _figures(np.array(costs)),
            "on_step_processor_ms": _figures(np.array(processor)),
            "dropped": dropped,
        }
    return found


def _figures(values: np.ndarray) -> dict[str, float]:
    middle, high = np.percentile(values, [50, 99])
    return {"median": float(middle), "p99": float(high), "most": float(values.max())}


def plot(results: dict[str, Any]) -> None:
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
    forms = list(results["saving"])
    left.bar(forms, [results["saving"][form]["seconds"] for form in forms], color="#2e9e6e")
    left.axhline(2, color="#555", linestyle="--", linewidth=1)
    left.set(title="Saving 1,000 frames, s", xlabel="images kept as (dashed: the goal)")
    sizes = [results["saving"][form]["times_the_jpegs"] for form in forms]
    middle.bar(forms, sizes, color="#4285e2")
    middle.axhline(2, color="#555", linestyle="--", linewidth=1)
    middle.set(title="Size of the file / of the JPEGs in it", xlabel="images kept as")
    names, medians, highs = [], [], []
    for rate, of in results["live"].items():
        for label, side, key in (
            ("on_step", "live", "on_step_ms"),
            ("on_step, CPU", "live", "on_step_processor_ms"),
            ("period, live", "live", "period_error_ms"),
            ("period, alone", "alone", "period_error_ms"),
        ):
            names.append(f"{rate} Hz: {label}")
            medians.append(of[side][key]["median"])
            highs.append(of[side][key]["p99"])
    places = np.arange(len(names))
    right.barh(places - 0.2, medians, 0.4, label="median", color="#2e9e6e")
    right.barh(places + 0.2, highs, 0.4, label="99th percentile", color="#e69f00")
    right.set_yticks(places, names, fontsize=7)
    right.invert_yaxis()
    right.set(title="Live view: ms of a frame", xscale="log")
    right.legend(fontsize=7)
    figure.savefig(RESULTS / "viewing.png", dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        forms: tuple[CodecName, ...] = ("jpeg", "raw")
        results: dict[str, Any] = {
            "machine": f"{platform.processor() or platform.machine()}, two shared cores, no GPU",
            "load_before": os.getloadavg()[0],
            "saving": {form: saving(folder, form) for form in forms},
            "live": {
                f"{rate:g}": {
                    "alone": looping(rate, seconds, folder, live=False),
                    "live": looping(rate, seconds, folder, live=True),
                }
                for rate in RATES
            },
        }
    (RESULTS / "viewing.json").write_text(json.dumps(results, indent=2) + "\n")
    plot(results)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
