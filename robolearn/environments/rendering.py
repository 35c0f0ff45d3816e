"""Rendering cameras of a MuJoCo model without a screen."""

from __future__ import annotations

import copy
import ctypes
import os
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from robolearn.environments.fast_model import fast_model, texture_bitmap
from robolearn.environments.task import Quality
from robolearn.episodes.frames import Array
from robolearn.errors import ConfigurationError, MissingDependency, SimulationError

if TYPE_CHECKING:
    import mujoco

_LIBRARIES = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}
_OFF = {"disable", "disabled", "off", "false", "0"}
_ON = {"glfw", "glx", "cgl", "wgl", "enable", "enabled", "on", "true", "1"}
_VISUAL_GEOMS = 1
"""robosuite keeps what is seen in geom group 1 and what collides in group 0."""

_MOST_GEOMS = 10_000
"""In a scene."""


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


def gl_renderer() -> tuple[str, str] | None:
    """What cameras are rendered with here.

    Returns:
        The back end that MuJoCo uses (``egl``, ``osmesa``, …) and what OpenGL says of itself, such
        as ``llvmpipe (LLVM 15.0.6, 256 bits)``, which is software, or a GPU's name. None where
        there is no GL library.

    Raises:
        MissingDependency: there is one, and it does not start.
    """
    backend = select_gl()
    if backend is None:
        return None
    context = _gl_context()
    context.make_current()
    from OpenGL import GL  # brought by MuJoCo; it takes its platform from the context in use

    name = GL.glGetString(GL.GL_RENDERER)
    return backend, name.decode(errors="replace") if name else "unknown"


class _Contexts(threading.local):
    """Each thread's GL context, which lives as long as the thread."""

    gl: mujoco.GLContext | None = None


_contexts = _Contexts()


def _gl_context() -> mujoco.GLContext:
    """The GL context of this thread, shared by its renderers.

    A software renderer compiles its shaders for each GL context anew, which takes 0.2 s.
    """
    if _contexts.gl is None:
        import mujoco

        try:
            # Its own buffer is never drawn to.
            _contexts.gl = mujoco.GLContext(16, 16)
            _contexts.gl.make_current()
        except Exception as error:  # each GL backend raises its own types
            _contexts.gl = None
            raise _does_not_start(error) from error
    return _contexts.gl


def _does_not_start(error: Exception) -> MissingDependency:
    return MissingDependency(
        f"the GL backend {os.environ['MUJOCO_GL']!r} does not start ({error}); try "
        "'apt-get install libegl1 libgl1-mesa-dri', or MUJOCO_GL=osmesa with 'libosmesa6'"
    )


class CameraRenderer:
    """Renders named cameras of one model, in the thread that made it.

    Args:
        model: the compiled model.
        cameras: names of its cameras.
        height: of the images, pixels.
        width: of the images, pixels.
        quality: ``full`` draws all that the model has, with shadows, reflections and smooth edges;
            ``fast`` leaves these out, and draws meshes and textures no finer than the images show.

    Raises:
        MissingDependency: no GL library is installed, or fast images lack fast-simplification.
        SimulationError: the model has no such camera; the message lists its cameras.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        cameras: Sequence[str],
        height: int,
        width: int,
        quality: Quality = "full",
    ) -> None:
        require_gl()
        import mujoco

        known = [model.camera(index).name for index in range(model.ncam)]
        for camera in cameras:
            if camera not in known:
                raise SimulationError(
                    f"there is no camera {camera!r}; there are {', '.join(known)}"
                )
        self._model = model
        self._cameras = {name: mujoco.MjvCamera() for name in cameras}
        for name, camera in self._cameras.items():
            camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
            camera.fixedcamid = known.index(name)
        self._drawn = copy.copy(model) if quality == "full" else fast_model(model, height, width)
        self._replaced: dict[int, Array] = {}
        self._drawn.vis.global_.offheight = height
        self._drawn.vis.global_.offwidth = width
        self._rectangle = mujoco.MjrRect(0, 0, width, height)
        self._scene = mujoco.MjvScene(model, _MOST_GEOMS)
        if quality == "fast":
            self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
            self._scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        self._options = mujoco.MjvOption()
        self._options.geomgroup[:] = 0
        self._options.geomgroup[_VISUAL_GEOMS] = 1
        self._options.sitegroup[:] = 0  # marks for people who write controllers
        self._context: mujoco.MjrContext | None = None
        self._gl = _gl_context()
        self._gl.make_current()
        try:
            self._context = mujoco.MjrContext(self._drawn, mujoco.mjtFontScale.mjFONTSCALE_50)
        except Exception as error:
            raise _does_not_start(error) from error
        # Far away the inverse of a distance is small, of which a float has more digits near 0.
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR.value

    def render(self, data: mujoco.MjData) -> dict[str, Array]:
        """Images (height, width, 3) uint8 by camera name, top row first."""
        return {camera: self.image(data, camera) for camera in self._cameras}

    def image(self, data: mujoco.MjData, camera: str) -> Array:
        """(height, width, 3) uint8 of one camera, top row first.

        Raises:
            RuntimeError: the renderer is closed.
        """
        import mujoco

        context = self._draw(data, camera)
        rows = np.empty((self._rectangle.height, self._rectangle.width, 3), np.uint8)
        mujoco.mjr_readPixels(rows, None, self._rectangle, context)
        return np.ascontiguousarray(rows[::-1])

    def depth(self, data: mujoco.MjData, camera: str) -> Array:
        """(height, width, 1) float32 distances along the camera's axis, m, top row first.

        Where nothing is, it is the distance at which the camera sees no further.

        Raises:
            RuntimeError: the renderer is closed.
        """
        import mujoco

        context = self._draw(data, camera)
        rows = np.empty((self._rectangle.height, self._rectangle.width, 1), np.float32)
        mujoco.mjr_readPixels(None, rows, self._rectangle, context)
        # Read is 1 at the near plane and 0 at the far one, linear in the inverse of the distance.
        near, far = (
            self._model.stat.extent * plane
            for plane in (self._model.vis.map.znear, self._model.vis.map.zfar)
        )
        read = rows[::-1].astype(np.float64)
        metres: Array = near / (read + (1.0 - read) * near / far)
        return metres.astype(np.float32)

    def _draw(self, data: mujoco.MjData, camera: str) -> mujoco.MjrContext:
        import mujoco

        context = self._current()
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(
            self._model, data, self._options, None, self._cameras[camera], everything, self._scene
        )
        mujoco.mjr_render(self._rectangle, self._scene, context)
        return context

    def own_texture(self, texture: int) -> Array:
        """(H, W, C) uint8 of one of the model's textures; fast images have fewer texels of it."""
        if texture in self._replaced:
            return self._replaced[texture]
        return texture_bitmap(self._drawn, texture)

    def set_texture(self, texture: int, bitmap: Array) -> None:
        """Draw one texture otherwise than the model has it.

        Args:
            texture: its number in the model.
            bitmap: (H, W, C) uint8, of the shape of `own_texture`.

        Raises:
            RuntimeError: the renderer is closed.
            ValueError: the bitmap has another shape.
        """
        import mujoco

        context = self._current()
        drawn = texture_bitmap(self._drawn, texture)
        if bitmap.shape != drawn.shape:
            raise ValueError(f"a bitmap of {bitmap.shape} for a texture of {drawn.shape}")
        self._replaced.setdefault(texture, drawn.copy())
        drawn[:] = bitmap
        mujoco.mjr_uploadTexture(self._drawn, context, texture)

    def reset_textures(self) -> None:
        """Draw all textures as the model has them."""
        for texture, own in list(self._replaced.items()):
            self.set_texture(texture, own)
        self._replaced.clear()

    def close(self) -> None:
        """Free what is kept in the GL context. May be called twice."""
        if self._context is not None:
            self._gl.make_current()
            self._context.free()
            self._context = None

    def _current(self) -> mujoco.MjrContext:
        """The context, ready to be drawn with."""
        import mujoco

        if self._context is None:
            raise RuntimeError("the renderer is closed")
        self._gl.make_current()
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        return self._context
