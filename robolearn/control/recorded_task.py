"""Whether a recording is of a task, and which task of the shelf a recording is of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from robolearn.environments.gymnasium_task import GYMNASIUM_TYPE
from robolearn.environments.robosuite_arguments import env_args
from robolearn.environments.robosuite_import import import_robosuite
from robolearn.environments.targets import load_target
from robolearn.environments.task import SimTask
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import SIMULATOR_STATE
from robolearn.episodes.frames import EpisodeContext
from robolearn.errors import ConfigurationError, SimulationError
from robolearn.shelf import shelf_entries

_SAME_SECONDS = 2.5e-3
"""A control step is a whole number of simulated ones, which last 2 ms."""


def require_same_task(recorded: Episode, own: EpisodeContext) -> None:
    """Raise unless an episode was recorded on a task, as far as it says what it was recorded on.

    Args:
        recorded: the episode.
        own: of the task's environment.

    Raises:
        SimulationError: it is of another task, robot, controller or rate.
    """
    context = recorded.context
    here, there = _facts(own.env_args), _facts(context.env_args)
    for what, value in here.items():
        if there.get(what, value) != value:
            raise SimulationError(
                f"it was recorded with another {what} than the task's: "
                f"{there[what]!s:.80}, not {value!s:.80}"
            )
    if context.action.shape != own.action.shape:
        raise SimulationError(
            f"its actions have {context.action.shape[0]} elements, the task's {own.action.shape[0]}"
        )
    states = recorded.observations.get(SIMULATOR_STATE)
    if states is None or len(states) < 2:
        return
    seconds = float(np.median(np.diff(states[:, 0])))
    if not abs(seconds - 1 / own.rate) < _SAME_SECONDS:
        raise SimulationError(
            f"its states are {seconds:g} s apart, the task's steps last {1 / own.rate:g} s"
        )


def recorded_target(context: EpisodeContext) -> str:
    """``sim:NAME`` of the one task on the shelf that a recording was made on.

    Args:
        context: of the recording.

    Raises:
        ConfigurationError: its description fits no task of the shelf, or several, or says too
            little.
        MissingDependency: robosuite is not installed.
    """
    if context.env_args.get("type") == GYMNASIUM_TYPE:
        raise ConfigurationError(
            "a Gymnasium environment was recorded, whose states are not known: there is no replay"
        )
    there = _facts(context.env_args)
    name = there.get("environment")
    if name is None:
        raise ConfigurationError(
            "the dataset does not say which task it was recorded on: name it with --on sim:TASK"
        )
    version = import_robosuite().__version__
    descriptions = {
        target: env_args(task, version)
        for target in (f"sim:{entry}" for entry in shelf_entries("sim"))
        if isinstance(task := load_target(target), SimTask)
    }
    fitting = {
        target: description
        for target, description in descriptions.items()
        if all(there.get(what, value) == value for what, value in _facts(description).items())
    }
    if len(fitting) > 1:  # tasks that differ in an option only
        exactly = context.env_args.get("env_kwargs")
        fitting = {
            target: description
            for target, description in fitting.items()
            if description["env_kwargs"] == exactly
        } or fitting
    match list(fitting):
        case [target]:
            return target
        case []:
            facts = ", ".join(f"{what} {value!s:.40}" for what, value in there.items())
            raise ConfigurationError(
                f"no task of the shelf is that of the dataset ({facts}): name its TOML file "
                "with --on"
            )
        case several:
            raise ConfigurationError(
                f"the dataset may be of {', '.join(several)}: name one with --on"
            )


def _facts(env_args: Mapping[str, Any]) -> dict[str, Any]:
    """What a description of an environment says of that which must be the same. May be hostile."""
    arguments = _object(env_args.get("env_kwargs"))
    controller = _object(_same(arguments.get("controller_configs")))
    parts = _object(controller.get("body_parts"))
    arm = _object(parts.get("right") or _object(parts.get("arms")).get("right"))
    if not parts:
        arm = controller  # as robosuite had it before 1.5
    limits = arm.get("output_max")
    robots = arguments.get("robots")
    facts = {
        "environment": env_args.get("env_name"),
        "robot": robots[0] if isinstance(robots, list) and len(robots) == 1 else robots,
        "controller": arm.get("type"),
        "reach of an action": [limits] * 6 if isinstance(limits, int | float) else limits,
        "rate": arguments.get("control_freq"),
    }
    return {what: value for what, value in facts.items() if value is not None}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _same(value: Any) -> Any:
    """The element that a list has once or several times, and what is no list."""
    if not isinstance(value, list):
        return value
    return value[0] if value and all(each == value[0] for each in value) else None
