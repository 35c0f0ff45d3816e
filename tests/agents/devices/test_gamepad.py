from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pygame", reason="pygame comes with the extra teleop")
sys.path.append(str(Path(__file__).parents[2] / "control"))
from hand_world import context

from robolearn.agents.devices import gamepad
from robolearn.agents.devices.gamepad import Gamepad, GamepadButtons
from robolearn.agents.devices.gamepad_process import ButtonPressed, Sticks, messages, open_pad
from robolearn.agents.devices.registry import Setting
from robolearn.agents.devices.requests import Request, Requests
from robolearn.agents.devices.sdl import OPEN, SdlProcess
from robolearn.errors import DeviceError

_GAME_CONTROLLER = 1


class VirtualPad:
    """A gamepad of SDL's own making."""

    def __init__(self) -> None:
        import pygame

        libraries = Path(pygame.__file__).parent.parent / "pygame.libs"
        found = sorted(libraries.glob("libSDL2-2*"))
        if not found:
            pytest.skip("pygame brings no SDL of its own")
        self._sdl = ctypes.CDLL(str(found[0]))
        self._sdl.SDL_JoystickOpen.restype = ctypes.c_void_p
        pygame.display.init()
        pygame.joystick.init()
        self._number = self._sdl.SDL_JoystickAttachVirtual(_GAME_CONTROLLER, 6, 15, 0)
        if self._number < 0:
            pytest.skip("this SDL has no virtual gamepads")
        self._stick = ctypes.c_void_p(self._sdl.SDL_JoystickOpen(self._number))

    def push(self, axis: int, share: float) -> None:
        value = ctypes.c_int16(round(32767 * share))
        self._sdl.SDL_JoystickSetVirtualAxis(self._stick, axis, value)

    def press(self, button: int, *, down: bool = True) -> None:
        self._sdl.SDL_JoystickSetVirtualButton(self._stick, button, int(down))

    def detach(self) -> None:
        self._sdl.SDL_JoystickDetachVirtual(self._number)


@pytest.fixture
def pygame(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS", "1")
    import pygame

    yield pygame
    pygame.quit()


def test_sticks_and_buttons_of_a_pad_until_it_is_pulled_out(pygame: Any) -> None:
    pad = VirtualPad()
    pygame.event.pump()
    read = messages(pygame, open_pad(pygame))
    assert next(read) == Sticks((0.0,) * 6, frozenset())
    pad.push(0, 0.5)
    pad.push(3, -1.0)
    pad.press(0)
    assert next(read) == ButtonPressed("A")
    sticks = next(read)
    assert isinstance(sticks, Sticks)
    assert sticks.axes == pytest.approx((0.5, 0, 0, -1, 0, 0), abs=1e-3)
    assert sticks.held == {"A"}
    pad.press(0, down=False)
    assert next(read).held == set()
    pad.detach()
    assert list(read) == []


def test_no_pad_is_told_with_the_rule(pygame: Any) -> None:
    assert open_pad(pygame) is None
    with pytest.raises(DeviceError, match="udev rule"):
        Gamepad(Setting(context(), Requests().add, lambda line: None))


class Process:
    """In the place of the one that reads a pad."""

    running = True

    def __init__(
        self,
        run: Any,
        arguments: Any,
        receive: Callable[[Any], None],
        lost: Callable[[], None] | None = None,
    ) -> None:
        self.receive, self.lost = receive, lost

    def close(self) -> None:
        self.running = False


@pytest.fixture
def pad(monkeypatch: pytest.MonkeyPatch) -> tuple[Gamepad, Callable[[Any], None], Requests]:
    """A gamepad without its process, what tells it something, and its requests."""
    monkeypatch.setattr(gamepad, "SdlProcess", Process)
    requests = Requests()
    made = Gamepad(Setting(context(), requests.add, lambda line: None))
    return made, made._pad.receive, requests  # type: ignore[attr-defined]


def test_what_sticks_move(pad: tuple[Gamepad, Callable[[Any], None], Requests]) -> None:
    device, tell, _ = pad
    tell(Sticks((1.0, -1.0, 0.0, -1.0, 0.0, 0.0), frozenset()))
    np.testing.assert_allclose(device.rates(0.05), [1, 1, 1, 0, 0, 0])
    tell(Sticks((0.05, 0.1, 1.0, 0.0, 0.0, 1.0), frozenset({"LEFTSHOULDER"})))
    np.testing.assert_allclose(device.rates(0.05), [0, 0, 0, 1, -1, -1])


def test_what_is_not_told_any_more_is_not_held(
    pad: tuple[Gamepad, Callable[[Any], None], Requests], monkeypatch: pytest.MonkeyPatch
) -> None:
    device, tell, _ = pad
    tell(Sticks((1.0, 0, 0, 0, 0, 0), frozenset()))
    later = time.monotonic() + 1.0
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert not device.rates(0.05).any()


def test_what_buttons_do(pad: tuple[Gamepad, Callable[[Any], None], Requests]) -> None:
    device, tell, requests = pad
    stopped: list[bool] = []
    requests.stop_by(lambda: stopped.append(True))
    for button in ("START", "Y", "DPAD_LEFT", "X", "BACK", "B"):
        tell(ButtonPressed(button))
    asked = [requests.take() for _ in range(7)]
    assert asked == [
        Request.START,
        Request.KEEP,
        Request.KEEP_FAILURE,
        Request.DISCARD,
        Request.REDO,
        Request.STOP,
        None,
    ]
    assert stopped == [True]
    speed = device.speed
    tell(ButtonPressed("DPAD_UP"))
    assert device.speed == speed + 1


def test_a_pad_that_is_gone(pad: tuple[Gamepad, Callable[[Any], None], Requests]) -> None:
    device, _, _ = pad
    device.close()
    with pytest.raises(DeviceError, match="the gamepad is gone"):
        device.rates(0.05)


def test_buttons_beside_another_way_to_drive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gamepad, "SdlProcess", Process)
    requests, told = Requests(), list[str]()
    buttons = GamepadButtons(Setting(context(), requests.add, told.append))
    process: Process = buttons._pad  # type: ignore[assignment]
    process.receive(Sticks((1.0, 0, 0, 0, 0, 0), frozenset()))
    process.receive(ButtonPressed("A"))
    process.receive(ButtonPressed("Y"))
    assert [requests.take() for _ in range(2)] == [Request.KEEP, None]
    assert process.lost is not None
    process.lost()  # the one who watches the arm has nothing in the hand any more
    assert requests.take() is Request.STOP
    assert told == ["the gamepad is gone, which stops"]
    buttons.close()
    assert not process.running


def _ends_when_told(connection: Any) -> None:
    connection.send((OPEN, ""))
    connection.recv()


@pytest.mark.parametrize("closed", [True, False])
def test_a_process_that_ends_by_itself_is_told_of(closed: bool) -> None:
    lost = threading.Event()
    process = SdlProcess(_ends_when_told, (), lambda message: None, lost.set)
    if closed:
        process.close()
        assert not lost.is_set()
    else:
        process.show("end")
        assert lost.wait(60)
        process.close()
