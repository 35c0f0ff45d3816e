"""Paths of what is in a recording. The blueprint's views and the tests find things by them."""

from __future__ import annotations

import rerun as rr

from robolearn.episodes.features import STATE

WORLD = "/world"
PATH = "/world/path"
PATHS = "/world/all_paths"
COMMAND = "/world/command"
MODES = "/world/modes"

ARM_ACTION = "/action/arm"
GRIPPER_ACTION = "/action/gripper"
MODE_WEIGHTS = "/policy/mode_weights"
GRIPPER_CLOSED = "/policy/gripper_closed"
SUCCESS = "/outcome/success"
REWARD = "/outcome/reward"

ABOUT = "/text/about"
EPISODE = "/text/episode"
EPISODES = "/text/episodes"


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
