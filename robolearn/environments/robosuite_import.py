"""Importing robosuite, and what has to be mended in it."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any

from robolearn.environments.rendering import select_gl
from robolearn.errors import MissingDependency


def import_robosuite() -> Any:
    """robosuite, without its banners and without its choice of a GL backend for child processes."""
    select_gl()
    backend = os.environ["MUJOCO_GL"]
    logging.getLogger("robosuite_logs").addFilter(_is_error)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            import robosuite
    except ImportError as error:
        raise MissingDependency(
            f"simulated tasks need robosuite: pip install 'robolearn[sim]' ({error})"
        ) from error
    finally:
        os.environ["MUJOCO_GL"] = backend
    _mend_sawyer()
    from robolearn.environments import reach_around  # noqa: F401  registers a task of our own

    return robosuite


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


def _mend_sawyer() -> None:
    """Let MuJoCo 3.3 take meshes of robosuite's Sawyer, which it finds too flat to be solid."""
    from robosuite.models.robots.manipulators import sawyer_robot

    if sawyer_robot.Sawyer.__module__ == __name__:
        return

    class Sawyer(sawyer_robot.Sawyer):  # type: ignore[misc]  # takes the place of that one
        def __init__(self, idn: int = 0) -> None:
            super().__init__(idn)
            for mesh in self.asset.findall("mesh"):
                mesh.set("inertia", "shell")  # of no effect: each body has its own

    sawyer_robot.Sawyer = Sawyer
