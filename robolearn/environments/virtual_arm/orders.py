"""Orders to a virtual arm that runs in another process."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from pathlib import Path
from typing import Any

from robolearn.environments.virtual_arm.settings import CONTROL
from robolearn.errors import SimulationError


class Orders:
    """A connection to an emulator; any thread may use it.

    Args:
        folder: of the emulator.

    Raises:
        SimulationError: none runs there.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(str(folder / CONTROL))
        except OSError as error:
            self._socket.close()
            raise SimulationError(f"{folder}: no virtual arm runs there ({error})") from error
        self._lines = self._socket.makefile("rw", encoding="utf-8")

    def give(self, do: str, **values: Any) -> Any:
        """Have something done, and wait for what comes of it.

        Args:
            do: one of the emulator's orders.
            **values: what it takes; JSON.

        Raises:
            SimulationError: the emulator is gone, or refuses.
        """
        with self._lock:
            try:
                self._lines.write(json.dumps({"do": do, **values}) + "\n")
                self._lines.flush()
                line = self._lines.readline()
            except (OSError, ValueError) as error:
                raise SimulationError(f"the virtual arm is gone ({error})") from error
        if not line:
            raise SimulationError("the virtual arm is gone")
        answer = json.loads(line)
        if "error" in answer:
            raise SimulationError(f"the virtual arm refuses {do!r}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        """End the connection. May be called twice."""
        with contextlib.suppress(OSError):
            self._lines.close()
        self._socket.close()
