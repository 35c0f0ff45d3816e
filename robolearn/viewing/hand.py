"""Where the hand is, and where actions send it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from robolearn.episodes.episode import Episode
from robolearn.episodes.features import STATE
from robolearn.episodes.frames import Array, EpisodeContext
from robolearn.viewing.real import RealWorld
from robolearn.viewing.world import World

_HAND = "eef_pos"


class Hand(ABC):
    """What of an episode tells where the hand is."""

    @abstractmethod
    def path(self, episode: Episode) -> Array:
        """(T, 3) where the hand was, m."""

    @abstractmethod
    def targets(self, episode: Episode, arm_actions: Array) -> Array | None:
        """Where actions would send the hand.

        Args:
            episode: in which they are asked for.
            arm_actions: (T, N, A_arm), N at each frame, without the gripper's elements.

        Returns:
            (T, N, 3) m; None where it is not known what an action means.
        """


def find_hand(context: EpisodeContext, world: World | None) -> Hand | None:
    """The hand as it was observed, or else as a model of the arm has it; None where neither tells.

    Args:
        context: of the episodes.
        world: that they are seen in.
    """
    feature = next(
        (
            name
            for name, feature in context.features.items()
            if name.startswith(f"{STATE}.") and name.endswith(_HAND) and feature.shape == (3,)
        ),
        None,
    )
    if feature is not None:
        return _ObservedHand(feature, _translation_scale(context))
    return _ModelledHand(world, context) if isinstance(world, RealWorld) else None


class _ObservedHand(Hand):
    """The hand's position is a feature, and actions move it by so much."""

    def __init__(self, feature: str, scale: Array | None) -> None:
        self._feature = feature
        self._scale = scale

    def path(self, episode: Episode) -> Array:
        return episode.observations[self._feature]

    def targets(self, episode: Episode, arm_actions: Array) -> Array | None:
        if self._scale is None:
            return None
        targets: Array = self.path(episode)[:, None] + arm_actions[..., :3] * self._scale
        return targets


class _ModelledHand(Hand):
    """Joints are observed and driven: the hand is where the arm's model has its tool."""

    def __init__(self, world: RealWorld, context: EpisodeContext) -> None:
        self._world = world
        self._action = context.action

    def path(self, episode: Episode) -> Array:
        return self._world.hand(episode)

    def targets(self, episode: Episode, arm_actions: Array) -> Array | None:
        if not self._world.moves_joints:
            return None
        steps, count, _ = arm_actions.shape
        joints = np.zeros((steps * count, *self._action.shape))
        joints[:, list(self._action.arm)] = arm_actions.reshape(steps * count, -1)
        return self._world.tool(joints).reshape(steps, count, 3)


def _translation_scale(context: EpisodeContext) -> Array | None:
    """(3,) metres that an action of 1 moves the hand along x, y and z.

    Read from the settings of robosuite's operational-space controller, or from the action's own
    scale. Its frame is taken to be aligned with the world's, as it is for all of robosuite's single
    arms.

    Returns:
        None where the first three elements of the arm's action are no translation, or it is not
        known of which size.
    """
    controller: Any = context.env_args
    for key in ("env_kwargs", "controller_configs", "body_parts", "right"):
        controller = controller.get(key) if isinstance(controller, Mapping) else None
    if not isinstance(controller, Mapping):
        action = context.action
        moves_hand = (action.names or ())[:3] == ("x", "y", "z") and len(action.scale) >= 3
        return np.array(action.scale[:3]) if moves_hand else None
    is_translation = (
        str(controller.get("type", "")).startswith("OSC_")
        and controller.get("input_type", "delta") == "delta"
        and len(context.action.arm) >= 3
    )
    try:
        most = np.broadcast_to(np.asarray(controller["output_max"], float), (6,))[:3]
        unit = np.broadcast_to(np.asarray(controller.get("input_max", 1.0), float), (6,))[:3]
    except (KeyError, TypeError, ValueError):
        return None
    return most / unit if is_translation else None
