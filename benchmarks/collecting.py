"""How well the control loop keeps its rate while a person collects demonstrations.

    python benchmarks/collecting.py [--seconds 60]

A device goes in circles, at 20 and at 50 Hz, in an environment whose two cameras of 240×320 have an
image ready at each step, as those of an arm have, and at 20 Hz in sim:lift, which simulates and
renders within the step. Everything is recorded without loss, shown on the text screen of a pseudo-
terminal, and live in Rerun (`--view web`, whose page nobody has opened). Measured are the error of
the loop's period, when its clock wakes it up and when the action is sent; deadlines missed; images
left out. The machine should be idle: the load is written down with the results.

Writes benchmarks/results/collecting.json and collecting.png.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from robolearn.agents.devices.device import HandDevice, HandMotion
from robolearn.agents.devices.display import Display
from robolearn.agents.devices.requests import Request, Requests
from robolearn.agents.hand import Pose
from robolearn.agents.hand_teleoperator import HandTeleoperator
from robolearn.cli.screen import Screen
from robolearn.control.clock import Clock
from robolearn.control.collecting import Collection, Pace, Plan
from robolearn.environments.environment import Environment
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import load_task
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import EpisodeContext, Observation, Step
from robolearn.viewing.live import LiveView
from robolearn.viewing.viewer import free_web_port, in_browser

RESULTS = Path(__file__).parent / "results"
SIDES = (("cameras", 20.0), ("cameras", 50.0), ("sim:lift", 20.0))
CAMERAS = ("agentview", "robot0_eye_in_hand")
HEIGHT, WIDTH = 240, 320


class Circling(HandDevice):
    """Goes in circles, for ever."""

    def reset(self) -> None:
        self._steps = 0

    def motions(self, hands: Sequence[Pose], period: float) -> Sequence[HandMotion]:
        self._steps += 1
        angle = 2 * np.pi * 0.3 * self._steps * period
        way = 0.02 * np.array([np.cos(angle), np.sin(angle), 0, 0, 0, 0])
        return [HandMotion(way, closed=False) for _ in hands]

    def close(self) -> None: ...


class WithCameras(Environment):
    """A hand that goes where it is asked to go, before two cameras."""

    horizon = 1

    def __init__(self, rate: float) -> None:
        random = np.random.default_rng(0)
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
        self._pictures = []
        for shift in range(30):
            wave = 128 + 80 * np.sin((x + 8 * shift) / 60 + y / 90)
            tiles = 30 * (((x + 4 * shift) // 40 + y // 40) % 2)
            picture = np.stack([wave + tiles, wave, 255 - wave], -1)
            noisy = np.clip(picture + random.normal(0, 2, picture.shape), 0, 255)
            self._pictures.append(noisy.astype(np.uint8))
        names = ("x", "y", "z", "rx", "ry", "rz", "gripper")
        image = Feature("uint8", (HEIGHT, WIDTH, 3))
        self._context = EpisodeContext(
            features={
                "observation.state.robot0_eef_pos": Feature("float32", (3,)),
                "observation.state.robot0_eef_quat": Feature("float32", (4,)),
                **{f"observation.images.{name}": image for name in CAMERAS},
            },
            action=ActionFeature(
                "float32",
                (7,),
                names,
                (-1.0,) * 7,
                (1.0,) * 7,
                gripper=(6,),
                scale=(0.05,) * 3 + (0.5,) * 3 + (1.0,),
            ),
            task="go in circles",
            rate=rate,
        )

    @property
    def context(self) -> EpisodeContext:
        return self._context

    def reset(self, seed: int) -> None:
        self._position, self._step = np.zeros(3), 0

    def observe(self) -> Observation:
        values = {
            "observation.state.robot0_eef_pos": self._position.astype(np.float32),
            "observation.state.robot0_eef_quat": np.array([0, 0, 0, 1], np.float32),
        }
        for number, name in enumerate(CAMERAS):
            shown = self._pictures[(self._step + number) % len(self._pictures)]
            values[f"observation.images.{name}"] = shown.copy()  # a camera gives a new array
        now = time.monotonic()
        return Observation(values, dict.fromkeys(values, now), time=now)

    def act(self, action: np.ndarray) -> np.ndarray:
        sent = self.context.action.limited(action)
        self._position = self._position + 0.05 * sent[:3]
        self._step += 1
        return sent

    def close(self) -> None: ...


def lift(rate: float) -> Environment:
    task = load_task("sim:lift").with_cameras(CAMERAS, HEIGHT, WIDTH)
    task = replace(task, simulator=replace(task.simulator, rate=rate))
    environment = RobosuiteEnvironment(task)
    environment.reset(0)
    environment.act(np.zeros(7))  # compiles
    return environment


class TimedClock(Clock):
    """Remembers when it returned."""

    def begin(self) -> None:
        super().begin()
        self.woken: list[float] = []

    def wait(self) -> None:
        super().wait()
        self.woken.append(time.monotonic())


class Times:
    """Remembers when actions were sent."""

    def __init__(self) -> None:
        self.sent: list[float] = []

    def on_reset(self, context: EpisodeContext) -> None: ...

    def on_step(self, step: Step) -> None:
        self.sent.append(step.action_timestamp)

    def on_end(self, outcome: Any) -> None: ...


def collected(side: str, rate: float, seconds: float, folder: Path) -> dict[str, Any]:
    environment = lift(rate) if side == "sim:lift" else WithCameras(rate)
    clock, times, requests = TimedClock(rate), Times(), Requests()
    pace = replace(Pace.of_simulator(rate), clock=clock, missed=lambda: clock.missed)
    terminal, theirs = pty.openpty()
    os.set_blocking(terminal, True)
    threading.Thread(target=_drain, args=(terminal,), daemon=True).start()
    try:
        with (
            FolderWriter(folder) as writer,
            os.fdopen(theirs, "w") as stream,
            Screen("benchmark", environment.context, ("keys",), stream) as screen,
            LiveView(
                in_browser(port=free_web_port()), environment.context, "benchmark", side, print
            ) as live,
        ):
            displays: list[Display] = [screen, live]
            collection = Collection(
                environment,
                HandTeleoperator(Circling(), environment.context),
                "benchmark",
                requests,
                displays,
                [times, live],
                writer,
                pace,
                Plan(episodes=1, limit=seconds, hold=seconds),
            )
            requests.add(Request.START)
            threading.Timer(seconds + 5, requests.add, [Request.KEEP]).start()
            (episode,) = collection.episodes([0])
    finally:
        environment.close()
    errors = {
        "woken": np.abs(np.diff(clock.woken) - 1 / rate),
        "sent": np.abs(np.diff(times.sent) - 1 / rate),
    }
    return {
        "environment": side,
        "rate_hz": rate,
        "steps": episode.outcome.steps,
        "missed": episode.missed,
        "images_left_out": episode.dropped,
        "megabytes": sum(file.stat().st_size for file in folder.rglob("*.hdf5")) / 1e6,
        **{
            f"period_error_when_{what}_ms": {
                "median": 1e3 * float(np.median(error)),
                "p99": 1e3 * float(np.quantile(error, 0.99)),
                "max": 1e3 * float(error.max()),
                "all": [round(1e3 * each, 4) for each in error.tolist()],
            }
            for what, error in errors.items()
        },
    }


def _drain(terminal: int) -> None:
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        return


def plot(results: Sequence[dict[str, Any]]) -> None:
    figure, axes = plt.subplots(figsize=(7, 4))
    for result in results:
        for what, style in (("woken", "-"), ("sent", "--")):
            error = np.sort(result[f"period_error_when_{what}_ms"]["all"])
            share = 1 - np.arange(len(error)) / len(error)
            label = f"{result['environment']}, {result['rate_hz']:g} Hz, when {what}"
            axes.loglog(np.maximum(error, 1e-3), share, style, label=label)
    axes.axhline(0.01, color="grey", lw=0.5)
    axes.axvline(5.0, color="grey", lw=0.5)
    axes.set_xlabel("error of the control loop's period, ms")
    axes.set_ylabel("share of steps with more")
    axes.set_title("Collecting with two 240×320 cameras, recorded without loss, live in Rerun")
    axes.legend()
    figure.tight_layout()
    figure.savefig(RESULTS / "collecting.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    seconds = parser.parse_args().seconds
    results = []
    for side, rate in SIDES:
        with tempfile.TemporaryDirectory() as folder:
            results.append(collected(side, rate, seconds, Path(folder) / "demos"))
        print(f"{side}, {rate:g} Hz: {results[-1]['steps']} steps, {results[-1]['missed']} missed")
    plot(results)
    for result in results:
        for what in ("woken", "sent"):
            del result[f"period_error_when_{what}_ms"]["all"]
    summary = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "results": results}
    (RESULTS / "collecting.json").write_text(json.dumps(summary, indent=2) + "\n")


if __name__ == "__main__":
    main()
