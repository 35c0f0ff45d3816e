"""Whether cameras can be rendered, with what, and how fast. Run as a module, it tries."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Iterator

from robolearn.diagnosis.finding import Finding
from robolearn.diagnosis.trial import TrialFailed, try_out
from robolearn.environments.rendering import require_gl, select_gl
from robolearn.errors import ConfigurationError, MissingDependency, RobolearnError

_SECONDS = 120.0
_PICTURES = 30
_SIZE = 84
_VARIABLE = "MUJOCO_GL"
_INSTALL = "apt-get install libegl1 libgl1-mesa-dri (or libosmesa6)"
_IN_SOFTWARE = ("llvmpipe", "softpipe", "swrast", "swiftshader", "osmesa", "software")
_OFF = {"disable", "disabled", "off", "false", "0"}


def gl_backend() -> Iterator[Finding]:
    """Which library MuJoCo would render with: EGL, OSMesa or a window."""
    asked = os.environ.get(_VARIABLE)
    try:
        chosen = _selected()
    except ConfigurationError as error:
        yield Finding("GL backend", "error", str(error), f"unset {_VARIABLE}")
        return
    if chosen is not None:
        by = f", by {_VARIABLE}" if asked else ""
        yield Finding("GL backend", "ok", f"{chosen}{by}")
    elif asked and asked.strip().lower() in _OFF:
        found = f"{_VARIABLE}={asked} switches rendering off"
        yield Finding("GL backend", "missing", found, f"unset {_VARIABLE}")
    elif asked:
        found = f"{_VARIABLE} asks for {asked}, whose library cannot be loaded"
        yield Finding("GL backend", "error", found, f"unset {_VARIABLE}, or {_INSTALL}")
    else:
        yield Finding("GL backend", "missing", "neither EGL nor OSMesa is installed", _INSTALL)


def drawing() -> Iterator[Finding]:
    """What really draws, and how fast."""
    try:
        if _selected() is None:
            return  # said already
    except ConfigurationError:
        return
    try:
        result = try_out(__name__, _SECONDS)
    except TrialFailed as error:
        yield Finding("rendering", "error", f"a picture of Lift: {error}", _INSTALL)
        return
    if missing := result.get("missing"):
        yield Finding("rendering", "missing", missing)
        return
    pace = f"{result['ms']:.1f} ms for a picture of {_SIZE}×{_SIZE}"
    renderer = result["renderer"]
    software = any(name in renderer.lower() for name in _IN_SOFTWARE)
    what = f"{renderer}, in {'software' if software else 'hardware'}" if renderer else "it draws"
    yield Finding("rendering", "ok", f"{what}: {pace}")


def _selected() -> str | None:
    """What `select_gl` decides, leaving the environment as the user made it."""
    before = os.environ.get(_VARIABLE)
    try:
        return select_gl()
    finally:
        if before is None:
            os.environ.pop(_VARIABLE, None)
        else:
            os.environ[_VARIABLE] = before


def _try() -> dict[str, object]:
    require_gl()
    from robolearn.environments.robosuite import RobosuiteEnvironment
    from robolearn.environments.task import load_task
    from robolearn.episodes.features import IMAGES

    task = load_task("sim:lift").with_cameras(("agentview",), _SIZE, _SIZE)
    try:
        environment = RobosuiteEnvironment(task)
    except MissingDependency as error:
        if isinstance(error.__cause__, ImportError):
            return {"missing": str(error)}
        raise
    name = f"{IMAGES}.agentview"
    environment.reset(seed=0)
    if not environment.image(name).any():
        raise RobolearnError("it is black")
    times = []
    for _ in range(_PICTURES):
        began = time.perf_counter()
        environment.image(name)
        times.append(time.perf_counter() - began)
    renderer = _renderer()
    environment.close()
    return {"renderer": renderer, "ms": 1e3 * statistics.median(times)}


def _renderer() -> str:
    """What draws in the current GL context; empty where that cannot be told."""
    try:
        from OpenGL.GL import GL_RENDERER, glGetString

        return str(glGetString(GL_RENDERER).decode(errors="replace"))
    except Exception:  # PyOpenGL raises what it comes across; MuJoCo draws without it, too
        return ""


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{json.dumps(_try())}\n")
    except RobolearnError as error:
        sys.exit(str(error))
