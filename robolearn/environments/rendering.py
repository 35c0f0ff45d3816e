"""Rendering cameras of a MuJoCo model without a screen."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from robolearn.episodes.frames import Array
from robolearn.errors import ConfigurationError, MissingDependency, SimulationError

if TYPE_CHECKING:
    import mujoco

_LIBRARIES = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}
_OFF = {"disable", "disabled", "off", "false", "0"}
_ON = {"glfw", "glx", "cgl", "wgl", "enable", "enabled", "on", "true", "1"}
_VISUAL_GEOMS = 1
"""robosuite keeps what is seen in geom group 1 and what collides in group 0."""


def select_gl() -> str | None:
    """Decide what MuJoCo renders with, before it is first imported, and tell it so.

    A ``MUJOCO_GL`` set by the user is kept. MuJoCo cannot be imported with a backend whose library
    is missing, so where there is none rendering is switched off.

    Raises:
        ConfigurationError: ``MUJOCO_GL`` is set to what MuJoCo does not know.

    Returns:
        ``egl``, ``osmesa``, ``cgl``, ``wgl`` or what the user chose; None where nothing can render.
    """
    chosen = os.environ.get("MUJOCO_GL", "").lower().strip()
    if chosen and chosen not in _ON | _OFF | _LIBRARIES.keys():
        raise ConfigurationError(
            f"MUJOCO_GL is {chosen!r}, which MuJoCo does not know: leave it unset, "
            f"or use {', '.join(sorted(_LIBRARIES))} or disable"
        )
    if not chosen:
        chosen = {"darwin": "cgl", "win32": "wgl"}.get(sys.platform, "") or next(
            (name for name, library in _LIBRARIES.items() if _loads(library)), "disable"
        )
    elif chosen in _LIBRARIES and not _loads(_LIBRARIES[chosen]):
        chosen = "disable"  # with a library that is missing MuJoCo could not even be imported
    os.environ["MUJOCO_GL"] = chosen
    return None if chosen in _OFF else chosen


def require_gl() -> None:
    """Raise unless cameras can be rendered.

    Raises:
        MissingDependency: names the Debian package to install.
    """
    if select_gl() is None:
        raise MissingDependency(
            "cameras need a GL library: install one with 'apt-get install libegl1 libgl1-mesa-dri' "
            "and leave MUJOCO_GL unset"
        )


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


class CameraRenderer:
    """Renders named cameras of one model.

    Args:
        model: the compiled model.
        cameras: names of its cameras.
        height: of the images, pixels.
        width: of the images, pixels.

    Raises:
        MissingDependency: no GL library is installed.
        SimulationError: the model has no such camera; the message lists its cameras.
    """

    def __init__(
        self, model: mujoco.MjModel, cameras: Sequence[str], height: int, width: int
    ) -> None:
        require_gl()
        import mujoco

        known = [model.camera(index).name for index in range(model.ncam)]
        for camera in cameras:
            if camera not in known:
                raise SimulationError(
                    f"there is no camera {camera!r}; there are {', '.join(known)}"
                )
        model.vis.global_.offheight = max(model.vis.global_.offheight, height)
        model.vis.global_.offwidth = max(model.vis.global_.offwidth, width)
        try:
            self._renderer = mujoco.Renderer(model, height, width)
        except Exception as error:  # each GL backend raises its own types
            raise MissingDependency(
                f"the GL backend {os.environ['MUJOCO_GL']!r} does not start ({error}); try "
                "'apt-get install libegl1 libgl1-mesa-dri', or MUJOCO_GL=osmesa with 'libosmesa6'"
            ) from error
        self._options = mujoco.MjvOption()
        self._options.geomgroup[:] = 0
        self._options.geomgroup[_VISUAL_GEOMS] = 1
        self._options.sitegroup[:] = 0  # marks for people who write controllers
        self._cameras = tuple(cameras)

    def render(self, data: mujoco.MjData) -> dict[str, Array]:
        """Images (height, width, 3) uint8 by camera name, top row first."""
        return {camera: self.image(data, camera) for camera in self._cameras}

    def image(self, data: mujoco.MjData, camera: str) -> Array:
        """(height, width, 3) uint8 of one camera, top row first."""
        self._renderer.update_scene(data, camera, self._options)
        return np.asarray(self._renderer.render(), dtype=np.uint8)

    def close(self) -> None:
        """Free the GL context. May be called twice."""
        renderer: Any = self._renderer
        renderer.close()
