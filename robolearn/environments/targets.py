"""What can be driven, by the name that a user gives it."""

from __future__ import annotations

from robolearn.environments.environment import Environment
from robolearn.environments.gymnasium_task import GymnasiumTask, Registered
from robolearn.environments.task import SimTask, load_task
from robolearn.errors import ShelfError
from robolearn.shelf import find_on_shelf, read_toml, table_names

type Task = SimTask | GymnasiumTask

_GYMNASIUM = "gym:"


def load_target(target: str) -> Task:
    """The task that ``sim:NAME``, ``gym:ID`` or the path of a TOML file names.

    Raises:
        ShelfError: there is none, or its file is broken.
    """
    if target.startswith(_GYMNASIUM):
        registered = target.removeprefix(_GYMNASIUM)
        if not registered:
            raise ShelfError("name a Gymnasium environment after gym:, as in gym:CartPole-v1")
        return GymnasiumTask(text=registered, gymnasium=Registered(registered))
    if names_arm(target):
        raise ShelfError(
            f"{target} is an arm: it is driven by robolearn deploy, and recorded --by leader or "
            "--by hand"
        )
    path = find_on_shelf(target, "sim")
    if "gymnasium" in table_names(path):
        return read_toml(path, GymnasiumTask)
    return load_task(target)


def names_arm(target: str) -> bool:
    """Whether a target is an arm, ``real:NAME`` or the path of its profile.

    Raises:
        ShelfError: its file cannot be read.
    """
    if target.startswith("real:"):
        return True
    return target.endswith(".toml") and "robot" in table_names(find_on_shelf(target))


def make_environment(task: Task) -> Environment:
    """An environment for a task, in this process.

    Raises:
        MissingDependency: what simulates it is not installed.
        SimulationError: it cannot be made.
    """
    if isinstance(task, GymnasiumTask):
        from robolearn.environments.gymnasium import GymnasiumEnvironment

        return GymnasiumEnvironment(task)
    from robolearn.environments.robosuite import RobosuiteEnvironment

    return RobosuiteEnvironment(task)
