"""Hands that a browser tracks: in a headset, on a phone, or dragged on a touch screen."""

from __future__ import annotations

import io
from collections.abc import Sequence

import segno

from robolearn.agents.devices.device import HandDevice, HandMotion
from robolearn.agents.devices.display import Status
from robolearn.agents.devices.registry import Setting
from robolearn.agents.devices.tracked import TrackedHands
from robolearn.agents.devices.views import camera_yaws
from robolearn.agents.devices.web.addresses import LOOPBACK, local_addresses
from robolearn.agents.devices.web.certificate import (
    certificate_path,
    server_context,
    state_folder,
)
from robolearn.agents.devices.web.server import PageServer
from robolearn.agents.devices.web.shown import Shown
from robolearn.agents.hand import Pose
from robolearn.episodes.frames import Observation
from robolearn.errors import DeviceError

_WAITING = "Waiting for it; Ctrl-C ends."

_SECONDS_TO_COME_BACK = 5.0
"""After which a browser that left in an episode is gone: a page takes a second to load again."""


class WebHands(HandDevice):
    """Moves hands by those that a browser tracks, and shows the browser how it goes.

    Args:
        server: of the page.
        hands: that it tracks.
        shown: what it shows.
        patience: seconds for which a browser may be gone in an episode.

    Attributes:
        hands: as given.
    """

    help = (
        "Hands in the browser: squeeze to move, trigger closes the gripper, and the page has",
        "buttons. From a headset: A start and keep, B discard, X keep as failed, Y once more.",
    )

    def __init__(
        self,
        server: PageServer,
        hands: TrackedHands,
        shown: Shown,
        patience: float = _SECONDS_TO_COME_BACK,
    ) -> None:
        self._server, self.hands, self._shown = server, hands, shown
        self._patience = patience

    def wait(self) -> None:
        """Wait until a browser has come."""
        self._server.visited.wait()

    def reset(self) -> None:
        self.hands.reset()

    def motions(self, hands: Sequence[Pose], period: float) -> Sequence[HandMotion]:
        status = self._shown.status
        in_episode = status is not None and status.phase == "recording"
        if in_episode and self._server.gone > self._patience:
            raise DeviceError("the browser is gone, and the arm holds still")
        return self.hands.motions(hands, period)

    def show(self, status: Status, observation: Observation | None) -> None:
        """See `Display`."""
        self._shown.show(status, observation)

    def close(self) -> None:
        self.hands.close()
        self._server.close()


def open_page(setting: Setting, port: int, *, usb: bool, drives: bool = True) -> WebHands:
    """Serve the page, and tell the person where.

    Args:
        setting: that it is for.
        port: to listen at.
        usb: only for this machine, without encryption.
        drives: its hands move something; otherwise it has the buttons alone.

    Raises:
        DeviceError: nothing can listen there, or the certificate cannot be kept.
    """
    hands, shown = TrackedHands(), Shown(camera_yaws(setting.context.model_file))
    if not drives:
        hands.arms = 0
    if usb:
        server = PageServer(LOOPBACK, port, None, None, hands, setting.ask, shown)
        addresses = [_address("http", "localhost", server)]
    else:
        folder, hosts = state_folder(), local_addresses()
        try:
            context = server_context(folder, hosts)
        except OSError as error:
            raise DeviceError(f"the certificate cannot be kept in {folder}: {error}") from error
        certificate = certificate_path(folder)
        server = PageServer("0.0.0.0", port, context, certificate, hands, setting.ask, shown)
        addresses = [_address("https", host, server) for host in hosts]
    setting.say(_invitation(addresses, usb))
    return WebHands(server, hands, shown)


def _address(scheme: str, host: str, server: PageServer) -> str:
    return f"{scheme}://{host}:{server.port}/#{server.pairing.token}"


def _invitation(addresses: Sequence[str], usb: bool) -> str:
    """What the person reads; the address holds the token, and is good for one browser."""
    lines = ["Open this in the browser of your headset or phone:", *addresses]
    if usb:
        port = addresses[0].split(":")[2].split("/")[0]
        return "\n".join([f"First: adb reverse tcp:{port} tcp:{port}", *lines, _WAITING])
    code = io.StringIO()
    segno.make(addresses[0], micro=False).terminal(code, compact=True)
    return "\n".join(
        [
            *lines,
            code.getvalue().rstrip("\n"),
            "The browser warns, as this machine signs for itself: go on (docs/vr.md).",
            _WAITING,
        ]
    )
