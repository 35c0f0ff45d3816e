"""Hands moved by keys, and by dragging with the mouse, in a window that shows a camera."""

from __future__ import annotations

import threading
import time
from functools import partial

import numpy as np

from robolearn.agents.devices.display import Status
from robolearn.agents.devices.keys import HELP, MOTIONS, Keyboard
from robolearn.agents.devices.rates import FULL, SPEEDS
from robolearn.agents.devices.registry import Setting
from robolearn.agents.devices.sdl import SdlProcess
from robolearn.agents.devices.window_process import Held, Picture, Pressed, run_window
from robolearn.agents.devices.words import BANNERS, health, picture, progress
from robolearn.episodes.frames import Array, Observation
from robolearn.errors import DeviceError

_METRES = 0.0008
_RADIANS = 0.006
_NOTCH = 0.01
"""m and rad of a hand that a pixel, and m that a notch of the wheel, stands for."""
_STALE = 0.25
"""Seconds after which nothing counts as held any more: the window tells so 60 times a second."""

_MOUSE = "left button drags the hand, the right one up, down and round; wheel  up and down"


class Window(Keyboard):
    """Moves hands by keys that are held in a window, or by the mouse; shows the first camera.

    Args:
        setting: what it is made for.

    Raises:
        MissingDependency: pygame is not installed.
        DeviceError: there is no screen.
    """

    def __init__(self, setting: Setting) -> None:
        self._lock = threading.Lock()
        self._forget()
        super().__init__(setting.context, setting.ask)
        title = f"robolearn: {setting.context.task}"
        self._window = SdlProcess(run_window, (title, (*HELP, _MOUSE)), self._receive)

    def reset(self) -> None:
        super().reset()
        with self._lock:
            self._forget()

    def rates(self, period: float) -> Array:
        if not self._window.running:
            raise DeviceError("the window was closed")
        with self._lock:
            fresh = time.monotonic() - self._told < _STALE
            rates = self.rates_of(self._keys if fresh else frozenset())
            # As far as the hand can go in this step; the rest in the next ones.
            most = FULL * SPEEDS[self.speed] * period
            step = np.clip(self._dragged, -most, most)
            self._dragged -= step
        shares: Array = rates + step / most
        return shares

    def show(self, status: Status, observation: Observation | None) -> None:
        """See `Display`."""
        self._window.show(partial(_picture, status, observation))

    def close(self) -> None:
        self._window.close()

    def _forget(self) -> None:
        self._keys: frozenset[str] = frozenset()
        self._dragged = np.zeros(6)
        self._told = 0.0

    def _receive(self, message: Pressed | Held) -> None:
        if isinstance(message, Pressed):
            if message.key not in MOTIONS:
                self.command(message.key)
            return
        (x, y), (turn, rise) = message.left, message.right
        with self._lock:
            self._keys, self._told = message.keys, time.monotonic()
            up = _METRES * -rise + _NOTCH * message.wheel
            self._dragged += (_METRES * x, _METRES * -y, up, 0.0, 0.0, _RADIANS * turn)


def _picture(status: Status, observation: Observation | None) -> Picture:
    lines = (BANNERS[status.phase], progress(status), health(status, observation))
    return Picture(status.phase, bool(status.success), lines, picture(observation))
