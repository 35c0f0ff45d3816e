"""Paths of what is in a recording. The blueprint's views and the tests find things by them."""

from __future__ import annotations

import rerun as rr

from robolearn.episodes.features import STATE

WORLD = "/world"
PATH = "/world/path"
PATHS = "/world/all_paths"
COMMAND = "/world/command"
MODES = "/world/modes"
REACHED = "/world/reached"

ARM_ACTION = "/action/arm"
GRIPPER_ACTION = "/action/gripper"
ARM_ASKED = "/action/arm_asked"
GRIPPER_ASKED = "/action/gripper_asked"
MODE_WEIGHTS = "/policy/mode_weights"
GRIPPER_CLOSED = "/policy/gripper_closed"
SUCCESS = "/outcome/success"
REWARD = "/outcome/reward"
LEARNT_REWARD = "/policy/learnt_reward"
RATE = "/loop/rate"

MARKS = "/marks"
DRIVER_MARK = "/marks/driver"
TASK_MARK = "/marks/task"
LIMITS_MARK = "/marks/limits"

ABOUT = "/text/about"
EPISODE = "/text/episode"
EPISODES = "/text/episodes"
STATUS = "/text/status"


def body(name: str) -> str:
    """Of a body of the simulated world."""
    return rr.new_entity_path(["world", "bodies", name])


def state(feature: str) -> str:
    """Of a feature of the observation."""
    return rr.new_entity_path(["state", short_state(feature)])


def short_state(feature: str) -> str:
    """A feature's name without what all of them begin with."""
    return feature.removeprefix(f"{STATE}.").removeprefix("observation.")


def camera(name: str) -> str:
    """Of a camera's pictures."""
    return rr.new_entity_path(["cameras", name])


def compared_all(group: str, name: str) -> str:
    """Of an element of all episodes that are compared."""
    return rr.new_entity_path(["compared", group, name])


def compared(group: str, name: str, number: int) -> str:
    """Of an element of one episode that is compared with others."""
    return rr.new_entity_path(["compared", group, name, str(number)])


def compared_path(number: int) -> str:
    """Of the hand's path in one episode that is compared with others."""
    return rr.new_entity_path(["world", "compared", str(number), "path"])


def compared_hand(number: int) -> str:
    """Of the hand in one episode that is compared with others."""
    return rr.new_entity_path(["world", "compared", str(number), "hand"])
