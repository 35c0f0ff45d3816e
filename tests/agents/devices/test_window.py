from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pygame", reason="pygame comes with the extra teleop")
sys.path.append(str(Path(__file__).parents[2] / "control"))
import pygame
from hand_world import context, seen

from robolearn.agents.devices import window
from robolearn.agents.devices.display import Display, Status
from robolearn.agents.devices.registry import Setting
from robolearn.agents.devices.requests import Request, Requests
from robolearn.agents.devices.window import Window
from robolearn.agents.devices.window_process import Held, Picture, Pressed, draw
from robolearn.errors import DeviceError

STATUS = Status("recording", 2, 10, 4.2, 60.0, 20.0, 20.0, 1, 0, False, "")
NO_DRAG = (0, 0)


class Process:
    """Stands in for the window's process."""

    running = True

    def __init__(self, run: Any, arguments: Any, receive: Callable[[Any], None]) -> None:
        self.receive = receive
        self.shown: list[Any] = []

    def show(self, message: Any) -> None:
        self.shown.append(message)

    def close(self) -> None:
        self.running = False


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> tuple[Window, Process, Requests]:
    monkeypatch.setattr(window, "SdlProcess", Process)
    requests = Requests()
    device = Window(Setting(context(), requests.add, lambda line: None))
    process: Any = device._window
    return device, process, requests


def test_keys_that_are_held(opened: tuple[Window, Process, Requests]) -> None:
    device, process, requests = opened
    process.receive(Held(frozenset({"w", "page up"}), NO_DRAG, NO_DRAG, 0))
    np.testing.assert_allclose(device.rates(0.05), [0, 1, 1, 0, 0, 0])
    process.receive(Held(frozenset(), NO_DRAG, NO_DRAG, 0))
    assert not device.rates(0.05).any()
    process.receive(Pressed("enter"))
    assert requests.take() is Request.START


def test_a_window_that_tells_nothing_holds_no_key(
    opened: tuple[Window, Process, Requests], monkeypatch: pytest.MonkeyPatch
) -> None:
    device, process, _ = opened
    process.receive(Held(frozenset({"w"}), NO_DRAG, NO_DRAG, 0))
    later = time.monotonic() + 1.0
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert not device.rates(0.05).any()


def test_the_hand_gets_as_far_as_it_was_dragged(opened: tuple[Window, Process, Requests]) -> None:
    """Also where the mouse is quicker than the hand may be."""
    device, process, _ = opened
    process.receive(Held(frozenset(), (100, -50), (10, 0), 2))
    full = window.FULL * window.SPEEDS[device.speed] * 0.05
    way = sum(device.rates(0.05) * full for _ in range(100))
    np.testing.assert_allclose(way, [0.08, 0.04, 0.02, 0, 0, 0.06], atol=1e-9)
    process.receive(Held(frozenset(), (100, 0), NO_DRAG, 0))
    device.reset()
    assert not device.rates(0.05).any()


def test_a_window_that_was_closed(opened: tuple[Window, Process, Requests]) -> None:
    device, process, _ = opened
    process.running = False
    with pytest.raises(DeviceError, match="the window was closed"):
        device.rates(0.05)


def test_it_is_a_display_that_shows_two_cameras(opened: tuple[Window, Process, Requests]) -> None:
    device, process, _ = opened
    assert isinstance(device, Display)
    observation = seen([0, 0, 0])
    images = {
        "observation.images.left": np.zeros((4, 5, 3), np.uint8),
        "observation.images.right": np.full((4, 7, 3), 9, np.uint8),
    }
    values = {**observation.values, **images}
    device.show(STATUS, type(observation)(values, dict.fromkeys(values, 0.0), 0.0))
    picture = process.shown[0]()
    assert picture.image.shape == (4, 12, 3)
    assert picture.lines[0].startswith("RECORDING")
    assert "episode 3 of 10" in picture.lines[1]
    assert "missed 1" in picture.lines[2]


def test_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.font.init()
    screen = pygame.Surface((400, 300))
    font = pygame.font.Font(None, 22)
    image = np.full((24, 32, 3), (10, 200, 30), np.uint8)
    draw(pygame, screen, font, Picture("judging", True, ("KEEP IT?", "1 of 2"), image), ("help",))
    pixels = pygame.surfarray.array3d(screen)
    assert tuple(pixels[2, 2]) == (30, 140, 60)  # success is green
    assert tuple(pixels[200, 120]) == (10, 200, 30)
    draw(pygame, screen, font, Picture("ready", False, ("READY",), None), ())
    assert tuple(pygame.surfarray.array3d(screen)[2, 2]) == (214, 158, 0)
    pygame.quit()


def test_no_screen_is_one_line_that_says_what_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    monkeypatch.setenv("DISPLAY", ":987")
    with pytest.raises(DeviceError, match=r"no window can be opened .*--by keyboard"):
        Window(Setting(context(), Requests().add, lambda line: None))


def test_a_window_that_nobody_could_see_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SDL_VIDEODRIVER", "offscreen")  # what SDL takes by itself, without a screen
    with pytest.raises(DeviceError, match=r"no window can be opened \(there is no display\)"):
        Window(Setting(context(), Requests().add, lambda line: None))


@pytest.fixture
def screen() -> Iterator[dict[str, str]]:
    """A virtual screen, and the environment of those that use it."""
    if not all(shutil.which(program) for program in ("Xvfb", "xdotool", "xwininfo")):
        pytest.skip("there are no Xvfb, xdotool and xwininfo")
    readable, writable = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writable), "-screen", "0", "1000x800x24"],
        pass_fds=[writable],
        stderr=subprocess.DEVNULL,
    )
    os.close(writable)
    with os.fdopen(readable) as told:
        display = f":{told.readline().strip()}"
    yield {**os.environ, "DISPLAY": display, "SDL_VIDEODRIVER": "x11"}
    server.kill()
    server.wait()


def test_a_real_window_on_a_virtual_screen(
    screen: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(*command: str) -> str:
        return subprocess.run(
            command, env=screen, check=True, capture_output=True, text=True
        ).stdout

    def soon(done: Callable[[], bool]) -> None:
        until = time.monotonic() + 10
        while not done():
            assert time.monotonic() < until
            time.sleep(0.02)

    for name in ("DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.setenv(name, screen[name])
    requests = Requests()
    device = Window(Setting(context(), requests.add, lambda line: None))
    device.show(STATUS, None)
    found = re.search(r'(0x\w+) "robolearn: rise"', told("xwininfo", "-root", "-tree"))
    assert found is not None
    number = str(int(found[1], 16))
    told("xdotool", "windowfocus", "--sync", number)
    told("xdotool", "keydown", "w")
    soon(lambda: device.rates(0.05)[1] == 1)
    told("xdotool", "keyup", "w")
    soon(lambda: not device.rates(0.05).any())
    told("xdotool", "key", "y")
    soon(lambda: requests.take() is Request.KEEP)
    told("xdotool", "mousemove", "--window", number, "300", "300", "mousedown", "1")
    told("xdotool", "mousemove_relative", "40", "0")
    soon(lambda: device.rates(0.05)[0] > 0)
    told("xdotool", "windowkill", number)
    with pytest.raises(DeviceError, match="the window was closed"):
        soon(lambda: bool(np.isnan(device.rates(0.05)).any()))
    device.close()
