"""Renders the world's cameras into files of frames, by a thread, at a steady rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from robolearn.environments.rendering import CameraRenderer
from robolearn.environments.virtual_arm.frames import FrameWriter
from robolearn.environments.virtual_arm.model import CAMERAS
from robolearn.environments.virtual_arm.world import World


class CameraFeed:
    """The cameras of a world.

    Args:
        world: that is shown.
        folder: where ``NAME.frames`` appears for each camera.
        cameras: of `CAMERAS`.
        height: pixels.
        width: pixels.
        fps: frames a second.

    Attributes:
        frozen: cameras that deliver nothing now.

    Raises:
        MissingDependency: nothing here can render.
    """

    def __init__(
        self,
        world: World,
        folder: Path,
        cameras: Sequence[str],
        height: int,
        width: int,
        fps: int,
    ) -> None:
        self.frozen: frozenset[str] = frozenset()
        self._world = world
        self._writers = {
            name: FrameWriter(folder / f"{name}.frames", height, width) for name in cameras
        }
        self._size = height, width
        self._period = 1 / fps
        self._first = threading.Event()
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._first.wait()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Stop rendering."""
        self._stop.set()
        self._thread.join()
        for writer in self._writers.values():
            writer.close()

    def _run(self) -> None:
        """The GL context belongs to this thread."""
        try:
            renderer = CameraRenderer(
                self._world.model, [CAMERAS[name] for name in self._writers], *self._size, "fast"
            )
        except Exception as error:  # it is raised where the feed is made
            self._error = error
            self._first.set()
            return
        import mujoco

        data = mujoco.MjData(self._world.model)
        due = time.monotonic()
        while not self._stop.is_set():
            with self._world.lock:
                data.qpos[:] = self._world.positions()
                timestamp = time.monotonic()
            mujoco.mj_kinematics(self._world.model, data)
            mujoco.mj_camlight(self._world.model, data)
            for name, writer in self._writers.items():
                if name not in self.frozen:
                    writer.write(renderer.image(data, CAMERAS[name]), timestamp)
            self._first.set()
            due += self._period
            late = time.monotonic() - due
            if late > 0:
                due += late // self._period * self._period  # leave out frames, keep the rhythm
            self._stop.wait(max(due - time.monotonic(), 0.0))
        renderer.close()
