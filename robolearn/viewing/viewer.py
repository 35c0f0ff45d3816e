"""The Rerun viewer, a process of its own: in a window, or in a browser on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from robolearn.errors import MissingDependency

HOST = "127.0.0.1"
"""Nobody else on the network looks on."""
WEB_PORT = 9090
"""Of the page; what it shows comes from the port after it."""

_PATIENCE = 30.0
"""Seconds that a viewer may take until it listens: its first start after an update is slow."""
_MEMORY = "2GiB"


class Viewer(AbstractContextManager["Viewer"]):
    """Rerun's viewer with the processes that it starts. A context manager: it ends with it.

    Args:
        arguments: of Rerun's own command.
        port: on which it takes what it is to show, and listens when this returns; None for a viewer
            that only shows a file.
        address: of the page in a browser; None for a window.

    Raises:
        MissingDependency: the viewer does not run here; says why.

    Attributes:
        uri: for whoever records.
        address: as above.
    """

    def __init__(
        self, arguments: Sequence[str], port: int | None, address: str | None = None
    ) -> None:
        self.uri = f"rerun+http://{HOST}:{port}/proxy"
        self.address = address
        # What it says goes into a file: nobody reads a pipe while an arm is driven.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  closed with this
        # The viewer is a child of the wrapper: in a group of their own both end together.
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "rerun_cli", *arguments),
                *("--bind", HOST, "--port", "auto" if port is None else str(port)),
                "--hide-welcome-screen",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            start_new_session=True,
        )
        if port is not None:
            try:
                self._wait_until_it_listens(port)
            except BaseException:
                self.close()
                raise

    @property
    def closed(self) -> bool:
        """Whether it is gone: its window was closed, or it broke down."""
        return self._process.poll() is not None

    def wait(self) -> None:
        """Until its window is closed.

        Raises:
            MissingDependency: it broke down; says why.
        """
        self._process.wait()
        if self._process.returncode:
            raise MissingDependency(self._complaint())

    def close(self) -> None:
        """End it, and all that it started. May be called twice."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._said.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _wait_until_it_listens(self, port: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not _listens(port):
            if self.closed:
                raise MissingDependency(self._complaint())
            if time.monotonic() > deadline:
                raise MissingDependency(
                    f"the Rerun viewer does not answer after {_PATIENCE:.0f} s on port {port}"
                )
            time.sleep(0.05)

    def _complaint(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        last = lines[-1].strip() if lines else f"status {self._process.returncode}"
        return (
            f"the Rerun viewer does not run here ({last}); install it again with pip install "
            "--force-reinstall rerun-sdk, look with --web, or --save a file and copy it to another "
            "machine"
        )


def in_window(file: Path | None = None) -> Viewer:
    """The viewer in a window of its own.

    Args:
        file: to show; None waits for what is sent to ``uri``.

    Raises:
        MissingDependency: there is no display, or the viewer does not run.
    """
    require_display("look at it in a browser (--view web, or view --web), or save it to a file")
    if file is not None:
        return Viewer([str(file)], None)
    return Viewer(["--expect-data-soon", "--memory-limit", _MEMORY], _free_port())


def free_web_port() -> int:
    """`WEB_PORT`, or the first above it that is free here together with the one after it."""
    return next(
        port for port in range(WEB_PORT, 2**16 - 1, 2) if not (_in_use(port) or _in_use(port + 1))
    )


def in_browser(file: Path | None = None, port: int = WEB_PORT) -> Viewer:
    """The viewer served to browsers on this machine.

    Args:
        file: to show; None waits for what is sent to ``uri``.
        port: of the page, on which `HOST` is listened to; the one after it has to be free, too.

    Raises:
        MissingDependency: a port is in use, or the viewer does not run.
    """
    for each in (port, port + 1):
        if _in_use(each):
            raise MissingDependency(
                f"port {each} is in use here; end what uses it, or name another with --port"
            )
    data = f"rerun%2Bhttp://{HOST}:{port + 1}/proxy"
    arguments = ["--serve-web", "--web-viewer-port", str(port), "--server-memory-limit", _MEMORY]
    return Viewer(
        ([str(file)] if file else []) + arguments,
        port + 1,
        f"http://{HOST}:{port}/?url={data}",
    )


def has_display() -> bool:
    """Whether a window can be opened here."""
    return not sys.platform.startswith("linux") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )


def require_display(advice: str) -> None:
    """Raise where no window can be opened.

    Args:
        advice: what to do instead.

    Raises:
        MissingDependency: there is no display.
    """
    if not has_display():
        raise MissingDependency(f"there is no display here; {advice}")


def _listens(port: int) -> bool:
    with contextlib.closing(socket.socket()) as asking:
        asking.settimeout(0.2)
        return asking.connect_ex((HOST, port)) == 0


def _in_use(port: int) -> bool:
    with contextlib.closing(socket.socket()) as trying:
        trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trying.bind((HOST, port))
        except OSError:
            return True
        return False


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as trying:
        trying.bind((HOST, 0))
        return int(trying.getsockname()[1])
