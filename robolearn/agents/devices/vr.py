"""The page of this machine, for a headset or a phone that drives, or for its buttons alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from robolearn.agents.devices.device import HandDevice
from robolearn.agents.devices.registry import Buttons, Setting
from robolearn.errors import DeviceError, MissingDependency

if TYPE_CHECKING:
    from robolearn.agents.devices.web.device import WebHands

PORT = "ROBOLEARN_VR_PORT"
"""Environment variable: the port to listen at, in place of 8443."""

_PORT = 8443


def over_network(setting: Setting) -> HandDevice:
    """A page for every machine on the network, encrypted; only one browser is let in.

    Waits until one has come, as what is said before is hidden by a screen afterwards.

    Raises:
        DeviceError: nothing can listen there, or the certificate cannot be kept.
        MissingDependency: the web server is not installed.
    """
    return _make(setting, usb=False, drives=True)


def over_usb(setting: Setting) -> HandDevice:
    """A page that only this machine can see, and a headset or phone that ``adb reverse`` lets in.

    Waits until one has come.

    Raises:
        DeviceError: nothing can listen there.
        MissingDependency: the web server is not installed.
    """
    return _make(setting, usb=True, drives=True)


def buttons_over_network(setting: Setting) -> Buttons:
    """The same page beside another way to drive: it shows how it goes, and has the buttons.

    Raises:
        DeviceError: nothing can listen there, or the certificate cannot be kept.
        MissingDependency: the web server is not installed.
    """
    return _make(setting, usb=False, drives=False)


def _make(setting: Setting, *, usb: bool, drives: bool) -> WebHands:
    try:
        from robolearn.agents.devices.web.device import open_page
    except ImportError as error:
        raise MissingDependency(
            f"the page needs a web server: pip install 'robolearn[vr]' ({error})"
        ) from error
    page = open_page(setting, _port(), usb=usb, drives=drives)
    try:
        page.wait()
    except BaseException:
        page.close()
        raise
    return page


def _port() -> int:
    text = os.environ.get(PORT) or str(_PORT)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**16):
        raise DeviceError(f"{PORT} is a number from 1 to 65535, not {text}")
    return int(text)
