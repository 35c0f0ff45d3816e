"""Hands moved by a SpaceMouse, in six directions at once."""

from __future__ import annotations

import contextlib
import struct
import threading
import time
from typing import Any

import numpy as np

from robolearn.agents.devices.rates import RateDevice
from robolearn.agents.devices.registry import Setting
from robolearn.agents.devices.requests import Request
from robolearn.episodes.frames import Array
from robolearn.errors import DeviceError, MissingDependency

_VENDORS = (0x256F, 0x046D)
"""3Dconnexion's own number, and Logitech's of older ones."""
_MULTI_AXIS = 1, 8
"""HID usage page and usage of a controller of six axes; Logitech's mice have others."""
_FULL = 350.0
_DEAD = 0.05
_STALE = 0.5
"""Seconds without a report, of which there are a hundred a second while the cap is moved."""
_POLL = 100

_NONE_THERE = (
    "no SpaceMouse is there: plug it in, and on Linux let everyone read it by a file "
    "/etc/udev/rules.d/99-spacemouse.rules with "
    'KERNEL=="hidraw*", ATTRS{idVendor}=="256f", MODE="0666" (older ones: 046d), then '
    "udevadm control --reload and plug it in again"
)


class SpaceMouse(RateDevice):
    """Moves hands by the cap of a 3Dconnexion SpaceMouse, read by hidapi.

    Its left button opens and closes the gripper, its right one begins an episode, and says that it
    is to be kept; the terminal's keys do the rest.

    Args:
        setting: what it is made for.

    Raises:
        MissingDependency: hidapi is not installed.
        DeviceError: there is no SpaceMouse, or this user may not read it.
    """

    help = (
        "push, lift and turn the cap     left button  gripper     right button  begin, keep",
        "enter  begin    y  keep    n  keep as failed    x  throw away    z  once more    q  end",
    )

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting.context)
        self._ask = setting.ask
        self._axes = np.zeros(6)
        self._told = 0.0
        self._buttons = 0
        self._gone = self._begun = False
        self._ending = threading.Event()
        self._device = _opened()
        self._thread = threading.Thread(target=self._listen, name="spacemouse", daemon=True)
        self._thread.start()

    def reset(self) -> None:
        super().reset()
        self._begun = False

    def rates(self, period: float) -> Array:
        if self._gone:
            raise DeviceError("the SpaceMouse is gone")
        if time.monotonic() - self._told > _STALE:
            return np.zeros(6)
        shares = self._axes / _FULL
        shares[np.abs(shares) < _DEAD] = 0.0
        return shares

    def close(self) -> None:
        self._ending.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            self._device.close()

    def _listen(self) -> None:
        try:
            while not self._ending.is_set():
                report = bytes(self._device.read(16, _POLL))
                if report:
                    self._take(report)
        except (OSError, ValueError):
            self._gone = True

    def _take(self, report: bytes) -> None:
        """A report: 1 has the ways and on newer ones the turns, too, 2 the turns, 3 the buttons.

        Its axes point to the right, to the person, and down; robolearn's to the right, away, up.
        """
        kind, payload = report[0], report[1:]
        if kind == 1 and len(payload) >= 12:
            self._turn(0, payload[:12])
        elif kind in {1, 2} and len(payload) >= 6:
            self._turn(3 * (kind - 1), payload[:6])
        elif kind == 3 and payload:
            pressed = payload[0] & ~self._buttons
            self._buttons = payload[0]
            if pressed & 1:
                self.grip()
            if pressed & 2:
                self._ask(Request.KEEP if self._begun else Request.START)
                self._begun = not self._begun

    def _turn(self, first: int, payload: bytes) -> None:
        axes = self._axes.copy()
        signs = np.tile([1.0, -1.0, -1.0], 2)[first : first + len(payload) // 2]
        axes[first : first + len(signs)] = signs * struct.unpack(f"<{len(signs)}h", payload)
        self._axes, self._told = axes, time.monotonic()


def _opened() -> Any:
    try:
        import hid
    except ImportError as error:
        raise MissingDependency(
            f"a SpaceMouse needs hidapi: pip install 'robolearn[teleop]' ({error})"
        ) from error
    for found in (each for vendor in _VENDORS for each in hid.enumerate(vendor, 0)):
        usage = found.get("usage_page", 0), found.get("usage", 0)
        if usage in {_MULTI_AXIS, (0, 0)}:  # older kernels do not tell
            device = hid.device()
            try:
                device.open_path(found["path"])
            except OSError as error:
                raise DeviceError(f"{_NONE_THERE} ({error})") from error
            return device
    raise DeviceError(_NONE_THERE)
