"""What is installed, and what is known to get into its way."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from robolearn.diagnosis.finding import Finding
from robolearn.errors import MissingDependency

_MAIN = ("lerobot", "torch", "numpy", "h5py", "zarr", "rerun-sdk")
"""Whose versions are asked for first when something does not work."""

_OPENCV = (
    *("opencv-python", "opencv-python-headless"),
    *("opencv-contrib-python", "opencv-contrib-python-headless"),
)


def python() -> Iterator[Finding]:
    """Python, and where."""
    system = f"{platform.system()} {platform.machine()}"
    yield Finding("python", "ok", f"{platform.python_version()} on {system}, {sys.executable}")


def libraries() -> Iterator[Finding]:
    """What robolearn needs whatever it is used for."""
    needed = _requirements()[""]
    versions = {name: _version(name) for name in (*_MAIN, *needed)}
    absent = [name for name in needed if versions[name] is None]
    found = ", ".join(f"{name} {versions[name]}" for name in _MAIN if versions[name])
    own = f"robolearn {_version('robolearn')}, {found}"
    if absent:
        yield Finding(
            "libraries",
            "error",
            f"{own}; not installed: {', '.join(absent)}",
            "pip install robolearn",
        )
    else:
        yield Finding("libraries", "ok", own)


def extras() -> Iterator[Finding]:
    """What it needs for some uses, as the package's own description says."""
    for extra, needed in _requirements().items():
        if not extra:
            continue
        versions = {name: _version(name) for name in needed}
        absent = [name for name, version in versions.items() if version is None]
        if absent:
            found = f"not installed: {', '.join(absent)}"
            advice = f"where it is needed: pip install 'robolearn[{extra}]'"
            yield Finding(f"extra {extra}", "missing", found, advice)
        else:
            found = ", ".join(f"{name} {version}" for name, version in versions.items())
            yield Finding(f"extra {extra}", "ok", found)


def python_path() -> Iterator[Finding]:
    """Packages of another installation, as ROS puts them before all others."""
    entries = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    own = f"python{sys.version_info.major}.{sys.version_info.minor}"
    foreign = [entry for entry in entries if _is_foreign(Path(entry).parts, own)]
    if foreign:
        yield Finding(
            "PYTHONPATH",
            "warning",
            f"it puts packages of another installation first: {', '.join(foreign)}",
            "unset PYTHONPATH, and leave ROS's setup.bash out of the shell that runs robolearn",
        )


def opencv() -> Iterator[Finding]:
    """Distributions of OpenCV share one folder: the one installed last has overwritten others."""
    found = [name for name in _OPENCV if _version(name)]
    if len(found) > 1:
        yield Finding(
            "OpenCV",
            "warning",
            f"{' and '.join(found)} overwrite each other",
            f"pip uninstall {' '.join(found)}, then pip install opencv-python-headless",
        )


def _is_foreign(parts: tuple[str, ...], own: str) -> bool:
    if "ros" in parts:
        return True
    return any(re.fullmatch(r"python\d(\.\d+)?", part) and part != own for part in parts)


def _requirements() -> dict[str, list[str]]:
    """Names of what is required, by the extra that requires it; the empty one is always."""
    try:
        package = importlib.metadata.distribution("robolearn")
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingDependency(
            "robolearn is run from its source without being installed, so that nothing says what "
            "it needs: pip install -e ."
        ) from error
    found: dict[str, list[str]] = {"": []}
    found |= {extra: [] for extra in package.metadata.get_all("Provides-Extra") or ()}
    for requirement in package.requires or ():
        what, _, marker = requirement.partition(";")
        name = re.match(r"[\w.-]+", what.strip())
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", marker)
        # What else a marker may say (another system, another Python) is not for this machine.
        if name and (extra or not marker):
            found.setdefault(extra[1] if extra else "", []).append(name[0])
    return found


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
