"""How old the pose is that an action follows, when hands are tracked by a headset's browser.

    python benchmarks/vr_latency.py [--seconds 60]

Headless Chromium with Meta's IWER (an emulated Quest 3, a window of 160×160 pixels) is in VR on the
page of ``record --by vr``, by HTTPS and WebSocket, as a headset is. A timer in the page moves the
emulated controller every millisecond, at 0.1 m/s, so that where it is says when it was there. The
control loop decodes that from the motion that it is asked for: the age of a pose at the action
that follows it is the time from then on, through the emulator's next frame, the page, the network
stack, the server's thread, and until the loop takes it. The page's clock is compared with this
process's through a call to the page, whose way is halved.

Sides: a loop at 50 Hz that does nothing else, and sim:lift at 20 Hz with its camera (240×320),
rendered in software on the same cores, encoded as JPEG and drawn in VR. How busy the machine is
with other things is told by how late it wakes a thread that sleeps.

Needs Chromium, playwright, and npm's iwer in .peers. Writes benchmarks/results/vr_latency.json and
vr_latency.png.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from scipy.spatial.transform import Rotation

from robolearn.agents.devices.display import Status
from robolearn.agents.devices.registry import Setting
from robolearn.agents.devices.requests import Requests
from robolearn.agents.devices.web.device import WebHands, open_page
from robolearn.agents.hand import Pose
from robolearn.control.clock import Clock
from robolearn.environments.robosuite import RobosuiteEnvironment
from robolearn.environments.task import load_task
from robolearn.episodes.frames import Observation

sys.path.append(str(Path(__file__).parents[1] / "tests" / "agents" / "devices"))
import emulated_headset

RESULTS = Path(__file__).parent / "results"
BARS = {"median": 20.0, "99th percentile": 60.0}
POSES = 60.0
SPEED = 0.1  # m/s
SIDES = {"loop": "50 Hz, nothing else", "lift": "sim:lift, 20 Hz, camera 240×320"}
ARM = Pose(np.zeros(3), Rotation.identity())

MOVE = f"""() => {{
  const right = device.controllers.right;
  const began = performance.timeOrigin + performance.now();
  window.moving = setInterval(() => {{
    const now = performance.timeOrigin + performance.now();
    right.position.set(0.2, 1.2 + {SPEED} * (now - began) / 1000, -0.4);
  }}, 1);
  return began;
}}"""


@dataclass(frozen=True)
class Driven:
    """What the loop does beside asking the hands."""

    observe: Callable[[], Observation | None]
    act: Callable[[], object]
    close: Callable[[], None]


class Loop(threading.Thread):
    """A control loop, which notes how old the pose is that each of its actions follows.

    Args:
        device: that is asked at each step.
        rate: Hz.
        make: what is driven, in the loop's thread.

    Attributes:
        began: when the controller began to move, seconds; None while it does not.
        ages: ms.
    """

    def __init__(
        self,
        device: WebHands,
        rate: float,
        make: Callable[[], Driven],
    ) -> None:
        super().__init__()
        self._device, self._rate, self._make = device, rate, make
        self._ending = threading.Event()
        self.began: float | None = None
        self.ages: list[float] = []

    def run(self) -> None:
        driven = self._make()
        clock = Clock(self._rate)
        clock.begin()
        while not self._ending.is_set():
            observation = driven.observe()
            motion = self._device.motions([ARM], 1 / self._rate)[0]
            now, began, up = time.time(), self.began, float(motion.way[2])
            if began is not None and up > 0:
                self.ages.append(1e3 * (now - (began + up / SPEED)))
            driven.act()
            status = Status(
                "recording", 0, 1, 0.0, 60.0, self._rate, self._rate, clock.missed, 0, None, ""
            )
            self._device.show(status, observation)
            clock.wait()
        self.missed = clock.missed
        driven.close()

    def end(self) -> None:
        self._ending.set()
        self.join()


class Sleeper(threading.Thread):
    """Sleeps for 5 ms again and again, and notes by how much the machine wakes it too late: ms."""

    def __init__(self) -> None:
        super().__init__()
        self._ending = threading.Event()
        self.late: list[float] = []

    def run(self) -> None:
        while not self._ending.is_set():
            wanted = time.monotonic() + 0.005
            time.sleep(0.005)
            self.late.append(1e3 * (time.monotonic() - wanted))

    def end(self) -> None:
        self._ending.set()
        self.join()


def idle() -> Driven:
    return Driven(lambda: None, lambda: None, lambda: None)


def lift() -> Driven:
    """The simulator with its camera, made in the thread that renders."""
    environment = RobosuiteEnvironment(load_task("sim:lift").with_cameras(("agentview",), 240, 320))
    still = np.zeros(environment.context.action.shape, np.float32)
    environment.reset(0)
    environment.act(still)
    return Driven(environment.observe, lambda: environment.act(still), environment.close)


def clock_difference(page: Any) -> tuple[float, float]:
    """What the page's clock is ahead of this one's, and half the way there and back; seconds."""
    best = (np.inf, 0.0)
    for _ in range(200):
        before = time.time()
        theirs = page.evaluate("() => performance.timeOrigin + performance.now()") / 1e3
        after = time.time()
        best = min(best, (after - before, theirs - (before + after) / 2))
    return best[1], best[0] / 2


def squeeze(page: Any, device: WebHands) -> None:
    """Take hold while the controller is still."""
    controller = emulated_headset.Controller(page)
    for _ in range(50):
        controller.put((0.2, 1.2, -0.4))
        controller.press("squeeze", 0.0)
        page.wait_for_timeout(200)
        controller.press("squeeze", 1.0)
        page.wait_for_timeout(200)
        if device.hands.held()["right"] is None:
            return
    raise RuntimeError("the emulated headset does not get through: is the machine busy?")


def measure(side: str, seconds: float, chromium: Any) -> dict[str, Any]:
    said: list[str] = []
    setting = Setting(SimpleNamespace(model_file=None), Requests().add, said.append)
    device = open_page(setting, 0, usb=False)
    url = next(line for line in said[0].split("\n") if "/#" in line)
    rate, make = {"loop": (50.0, idle), "lift": (20.0, lift)}[side]
    loop = Loop(device, rate, make)
    sleeper = Sleeper()
    try:
        page = emulated_headset.open_page(chromium, url, quest=True, size=(160, 160))
        page.click("#vr")
        page.wait_for_timeout(3000)
        loop.start()
        page.wait_for_timeout(5000)
        ahead, uncertain = clock_difference(page)
        poses, held, end = [], 0, time.monotonic() + seconds
        sleeper.start()
        while time.monotonic() < end:
            squeeze(page, device)
            loop.began = page.evaluate(MOVE) / 1e3 - ahead
            while time.monotonic() < end and device.hands.held()["right"] is None:
                page.wait_for_timeout(200)
                poses.append(float(page.text_content("#poses").split()[0]))
            held += time.monotonic() < end
            loop.began = None
            page.evaluate("() => clearInterval(window.moving)")
        later, _ = clock_difference(page)
        page.context.close()
    finally:
        for thread in (sleeper, loop):
            if thread.is_alive():
                thread.end()
        device.close()
    ages = loop.ages
    return {
        "what": SIDES[side],
        "actions": len(ages),
        "median": statistics.median(ages),
        "99th percentile": float(np.percentile(ages, 99)),
        "most": max(ages),
        "poses a second": statistics.median(poses),
        "held still": held,
        "deadlines missed": loop.missed,
        "woken late, median": statistics.median(sleeper.late),
        "woken late, 99th percentile": float(np.percentile(sleeper.late, 99)),
        "clocks uncertain by": 1e3 * uncertain,
        "clocks drifted by": 1e3 * (later - ahead),
        "ages": [round(age, 2) for age in ages],
    }


def plot(found: dict[str, dict[str, Any]]) -> None:
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for side, colour in zip(found.values(), ("#1d6b56", "#c8742b"), strict=False):
        ages = np.sort(side["ages"])
        label = (
            f"{side['what']}: median {side['median']:.1f} ms, {side['poses a second']:.0f} poses/s"
        )
        axes.plot(ages, np.arange(1, len(ages) + 1) / len(ages), color=colour, label=label)
    for (name, bar), share in zip(BARS.items(), (0.5, 0.99), strict=True):
        axes.plot([bar], [share], "v", color="#b3261e", markersize=9)
        axes.annotate(
            f"{name} < {bar:.0f} ms",
            (bar, share),
            (8, 8 if share < 1 / 2 + 0.1 else -16),
            textcoords="offset points",
        )
    axes.set_xlim(0, max(75.0, *(side["99th percentile"] * 1.1 for side in found.values())))
    axes.set_xlabel("age of the pose that an action follows, ms")
    axes.set_ylabel("share of the actions")
    axes.set_title("VR: from where the hand was to the action, headless Chromium with IWER")
    axes.legend(loc="lower right", fontsize=9)
    axes.grid(alpha=0.3)
    figure.savefig(RESULTS / "vr_latency.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    if emulated_headset.missing():
        parser.error(emulated_headset.missing())
    with tempfile.TemporaryDirectory() as state, emulated_headset.browser() as chromium:
        os.environ["XDG_STATE_HOME"] = state
        found = {side: measure(side, arguments.seconds, chromium) for side in SIDES}
    for side in found.values():
        print({name: value for name, value in side.items() if name != "ages"})
    machine = {"python": platform.python_version(), "cores": os.cpu_count()}
    machine["load before and after"] = [round(each, 1) for each in os.getloadavg()]
    result = {"bars": {**BARS, "poses a second": POSES}, "machine": machine, "sides": found}
    (RESULTS / "vr_latency.json").write_text(json.dumps(result, indent=1) + "\n")
    plot(found)


if __name__ == "__main__":
    main()
