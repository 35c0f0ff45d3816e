"""Where the hand is, and where an action sends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from robolearn.episodes.episode import Episode
from robolearn.episodes.features import STATE
from robolearn.episodes.frames import Array, EpisodeContext

_HAND = "eef_pos"


def hand_feature(context: EpisodeContext) -> str | None:
    """Name of the feature with the hand's position; None where there is none."""
    return next(
        (
            name
            for name, feature in context.features.items()
            if name.startswith(f"{STATE}.") and name.endswith(_HAND) and feature.shape == (3,)
        ),
        None,
    )


def hand_path(episode: Episode) -> Array | None:
    """(T, 3) where the hand was, m; None where the episode does not tell."""
    name = hand_feature(episode.context)
    return None if name is None else episode.observations[name]


def translation_scale(context: EpisodeContext) -> Array | None:
    """(3,) metres that an action of 1 moves the hand along x, y and z.

    Read from the settings of robosuite's operational-space controller. Its frame is taken to be
    aligned with the world's, as it is for all of robosuite's single arms.

    Returns:
        None where the first three elements of the arm's action are no translation, or it is not
        known of which size.
    """
    controller: Any = context.env_args
    for key in ("env_kwargs", "controller_configs", "body_parts", "right"):
        controller = controller.get(key) if isinstance(controller, Mapping) else None
    if not isinstance(controller, Mapping):
        return None
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
