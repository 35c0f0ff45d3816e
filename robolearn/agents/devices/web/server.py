"""Serves the page, and lets one browser drive: a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from importlib import resources
from pathlib import Path

from aiohttp import web

from robolearn.agents.devices.requests import Request
from robolearn.agents.devices.tracked import TrackedHands
from robolearn.agents.devices.web import messages
from robolearn.agents.devices.web.link import ELSEWHERE, Link
from robolearn.agents.devices.web.pairing import Pairing
from robolearn.agents.devices.web.shown import Shown
from robolearn.agents.devices.web.timing import Budget
from robolearn.errors import DeviceError

_LOGGER = logging.getLogger(__name__)
_LOGGER.addHandler(logging.NullHandler())  # whoever sends nonsense does not write on the screen

_COOKIE = "robolearn"
_MESSAGES_A_SECOND = 300.0
_MOST_AT_ONCE = 150.0
_SECONDS_TO_START = 10.0
_SECONDS_PAIRED = 24 * 3600  # also if the browser is closed; robolearn's end ends it, too
_HEARTBEAT = 10.0
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "xr-spatial-tracking=(self), camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_CONTENT = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self' {socket}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class PageServer:
    """Listens from when it is made.

    Args:
        host: address to listen at.
        port: 0 takes a free one.
        context: encrypts; None for a page that only this machine can see.
        certificate: offered for download, as some devices want it installed.
        hands: told where the person's are.
        ask: told what the person pressed, in the server's thread.
        shown: what is to be shown.

    Raises:
        DeviceError: nothing can listen there.

    Attributes:
        pairing: who may drive.
        port: that it listens at.
        visited: set when the first browser drives.
    """

    def __init__(
        self,
        host: str,
        port: int,
        context: ssl.SSLContext | None,
        certificate: Path | None,
        hands: TrackedHands,
        ask: Callable[[Request], None],
        shown: Shown,
    ) -> None:
        self._context, self._certificate = context, certificate
        self._hands, self._ask, self._shown = hands, ask, shown
        self.pairing = Pairing()
        self.visited = threading.Event()
        self._budget = Budget(_MESSAGES_A_SECOND, _MOST_AT_ONCE)
        self._assets = _assets()
        self._link: Link | None = None
        self._lost: float | None = None
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._listener = _listening(host, port)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._thread.start()
        if not self._started.wait(_SECONDS_TO_START) or self._failure is not None:
            raise DeviceError(f"the page cannot be served: {self._failure or 'no time'}")

    @property
    def gone(self) -> float:
        """Seconds for which a browser that drove has been gone; 0 while there is one, or before."""
        lost = self._lost
        return 0.0 if lost is None else time.monotonic() - lost

    def close(self) -> None:
        """Serve no more. May be called twice."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # told by the thread that made it
            self._failure = error
            self._started.set()
        finally:
            self._listener.close()
            self._loop.close()

    async def _serve(self) -> None:
        self._shown.serve(self._loop)
        application = web.Application(client_max_size=messages.MOST_BYTES)
        application.add_routes(
            [
                web.get("/", self._asset),
                web.get("/page/{name}", self._asset),
                web.get("/certificate.crt", self._give_certificate),
                web.post("/pair", self._pair),
                web.get("/link", self._drive),
            ]
        )
        application.on_response_prepare.append(_protect)
        runner = web.AppRunner(application, access_log=None, logger=_LOGGER, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.SockSite(runner, self._listener, ssl_context=self._context).start()
            self._started.set()
            await self._ended.wait()
        finally:
            if self._link is not None:
                await self._link.end(1001, "robolearn has ended")
            await runner.cleanup()

    async def _asset(self, request: web.Request) -> web.Response:
        name = request.match_info.get("name", "index.html")
        if name not in self._assets:
            raise web.HTTPNotFound
        return web.Response(
            body=self._assets[name], content_type=_TYPES[Path(name).suffix], charset="utf-8"
        )

    async def _give_certificate(self, request: web.Request) -> web.Response:
        if self._certificate is None:
            raise web.HTTPNotFound
        return web.Response(
            body=self._certificate.read_bytes(), content_type="application/x-x509-ca-cert"
        )

    async def _pair(self, request: web.Request) -> web.Response:
        """Let the browser that shows the token drive from now on."""
        if not _same_origin(request):
            return _refused("Another page cannot drive.")
        if self._paired(request):
            return web.json_response({})
        try:
            secret = self.pairing.pair(str(json.loads(await request.text())["token"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            return _refused("A malformed request.", HTTPStatus.BAD_REQUEST)
        except DeviceError as error:
            return _refused(str(error))
        response = web.json_response({})
        response.set_cookie(
            _COOKIE,
            secret,
            max_age=_SECONDS_PAIRED,
            httponly=True,
            secure=request.secure,
            samesite="Strict",
        )
        return response

    async def _drive(self, request: web.Request) -> web.StreamResponse:
        if not _same_origin(request) or not self._paired(request):
            return _refused("This browser is not paired.")
        answer = web.WebSocketResponse(
            max_msg_size=16 * messages.MOST_BYTES, heartbeat=_HEARTBEAT, compress=False, timeout=1.0
        )
        await answer.prepare(request)
        before = self._link
        link = self._link = Link(answer, self._hands, self._ask, self._shown, self._budget)
        self._lost = None
        if before is not None:  # ended last: a third may come while this one closes
            await before.end(ELSEWHERE, "driven from another tab of this browser")
        self.visited.set()
        try:
            await link.run()
        finally:
            if self._link is link:
                self._link, self._lost = None, time.monotonic()
        return answer

    def _paired(self, request: web.Request) -> bool:
        return self.pairing.knows(request.cookies.get(_COOKIE, ""))


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise DeviceError(
            f"nothing can listen at {host}:{port}: {why}; another robolearn may still run, or "
            "choose another port: ROBOLEARN_VR_PORT"
        ) from error


def _assets() -> dict[str, bytes]:
    """The page's files by name: nothing else is ever given out."""
    folder = resources.files("robolearn.agents.devices.web") / "page"
    return {
        file.name: file.read_bytes()
        for file in folder.iterdir()
        if Path(file.name).suffix in _TYPES
    }


def _same_origin(request: web.Request) -> bool:
    """Whether the page that asks is this server's own."""
    return request.headers.get("Origin") == f"{request.scheme}://{request.host}"


def _refused(reason: str, status: HTTPStatus = HTTPStatus.FORBIDDEN) -> web.Response:
    return web.json_response({"error": reason}, status=status)


async def _protect(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    own = f"{'wss' if request.secure else 'ws'}://{request.host}"
    response.headers["Content-Security-Policy"] = _CONTENT.format(socket=own)
