"""Where each feature has its place in the layouts of others: the one table of names.

Each layout's two functions are each other's inverse. A name that has no place of its own in a
layout, or whose place belongs to another one, is kept there as it is, whole:
``observation.state.object`` is ``obs/observation.state.object`` in robomimic's, since
``obs/object`` is the environment's state.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from robolearn.episodes.features import (
    ACTION,
    DEPTH,
    ENVIRONMENT_STATE,
    IMAGES,
    SIMULATOR_STATE,
    STATE,
    Feature,
)
from robolearn.errors import DatasetError

OBSERVATION = "observation."
IMAGE = "observation.image"
"""LeRobot's name of the only camera."""

_ROBOMIMIC = {
    ACTION: "actions",
    SIMULATOR_STATE: "states",
    ENVIRONMENT_STATE: "obs/object",
    STATE: "obs/state",
}
_REPLAY_BUFFER = {
    ACTION: "action",
    SIMULATOR_STATE: "simulator_state",
    ENVIRONMENT_STATE: "environment_state",
    STATE: "state",
}
_REPLAY_BUFFER_IMAGE = "img"
_LEROBOT_DEPTH = "observation.depth"
_LEROBOT_OWN = {"timestamp", "frame_index", "episode_index", "index", "task_index", "task"}

_PLAIN = re.compile(r"[^./\\\x00-\x1f\x7f]+")
_KEPT_WHOLE = re.compile(r"observation(\.[^./\\\x00-\x1f\x7f]+)+")


def robomimic_key(feature: str) -> str:
    """Name of a feature below ``data/demo_i`` in robomimic's HDF5 layout.

    =====================================  ==========================
    robolearn                              robomimic
    =====================================  ==========================
    ``action``                             ``actions``
    ``simulator_state``                    ``states``
    ``observation.environment_state``      ``obs/object``
    ``observation.state``                  ``obs/state``
    ``observation.images.<camera>``        ``obs/<camera>_image``
    ``observation.state.<part>``           ``obs/<part>``
    any other ``observation.<name>``       ``obs/observation.<name>``
    =====================================  ==========================

    Raises:
        DatasetError: the layout has no place for the feature.
    """
    if feature in _ROBOMIMIC:
        return _ROBOMIMIC[feature]
    own = _own_name(feature)
    if feature == f"{IMAGES}.{own}":
        return f"obs/{own}_image"
    if feature == f"{STATE}.{own}" and feature_name(f"obs/{own}") == feature:
        return f"obs/{own}"
    return f"obs/{_whole(feature, 'robomimic')}"


def feature_name(key: str) -> str:
    """The inverse of `robomimic_key`.

    Raises:
        DatasetError: the key is none of the layout's per-frame arrays.
    """
    for feature, known in _ROBOMIMIC.items():
        if known == key:
            return feature
    folder, _, name = key.partition("/")
    if folder == "obs" and _KEPT_WHOLE.fullmatch(name):
        _require_canonical(key, robomimic_key(name))
        return name
    if folder != "obs" or not _PLAIN.fullmatch(name):
        raise DatasetError(f"{key!r} is none of the per-frame arrays of robomimic's layout")
    camera = name.removesuffix("_image")
    return f"{IMAGES}.{camera}" if camera and camera != name else f"{STATE}.{name}"


def replay_buffer_key(feature: str, image: bool) -> str:
    """Name of a feature below ``data`` in a replay buffer of Diffusion Policy or UMI.

    =====================================  ==============================
    robolearn                              replay buffer
    =====================================  ==============================
    ``action``                             ``action``
    ``simulator_state``                    ``simulator_state``
    ``observation.environment_state``      ``environment_state``
    ``observation.state``                  ``state``
    ``observation.image``, images          ``img``
    ``observation.images.<camera>``        ``<camera>``
    ``observation.state.<part>``           ``<part>``
    any other ``observation.<name>``       ``observation.<name>``
    =====================================  ==============================

    Args:
        feature: its name.
        image: its frames are images; the layout tells a camera from the rest by nothing else.

    Raises:
        DatasetError: the layout has no place for the feature.
    """
    if image:
        if feature == IMAGE:
            return _REPLAY_BUFFER_IMAGE
    elif feature in _REPLAY_BUFFER:
        return _REPLAY_BUFFER[feature]
    own = _own_name(feature)
    if own is not None and replay_buffer_feature(own, image) == feature:
        return own
    return _whole(feature, "replay buffer")


def replay_buffer_feature(key: str, image: bool) -> str:
    """The inverse of `replay_buffer_key`.

    Raises:
        DatasetError: the key cannot be a feature's.
    """
    if _KEPT_WHOLE.fullmatch(key):
        _require_canonical(key, replay_buffer_key(key, image))
        return key
    if not _PLAIN.fullmatch(key):
        raise DatasetError(f"data/{key!r:.80} cannot be the name of a feature")
    if image:
        return IMAGE if key == _REPLAY_BUFFER_IMAGE else f"{IMAGES}.{key}"
    for feature, known in _REPLAY_BUFFER.items():
        if known == key:
            return feature
    return f"{STATE}.{key}"


def replay_buffer_keys(features: Mapping[str, Feature]) -> dict[str, str]:
    """`replay_buffer_key` of each feature.

    Raises:
        DatasetError: two of them would have one name, or one has no place.
    """
    keys = {name: replay_buffer_key(name, form.is_image) for name, form in features.items()}
    taken: dict[str, str] = {ACTION: ACTION}
    for name, key in keys.items():
        other = taken.setdefault(key, name)
        if other != name:
            raise DatasetError(f"{other} and {name} would both be data/{key} of a replay buffer")
    return keys


def lerobot_keys(features: Mapping[str, Feature]) -> dict[str, list[str]]:
    """The features of a LeRobot dataset, and which of ours each is made of.

    All names are LeRobot's already. What LeRobot has in one vector, ``observation.state``, is made
    of our parts of it, one after the other: those that are vectors of floating point numbers. Any
    other ``observation.state.<part>`` is a feature of its own, and so are all where there is an
    ``observation.state`` besides. Distances of a camera are ``observation.depth.<camera>``: LeRobot
    takes what has images in its name for colours.

    Raises:
        DatasetError: LeRobot has no place for a feature.
    """
    keys: dict[str, list[str]] = {}
    for name, feature in features.items():
        joined = STATE not in features and _is_part(name, feature)
        key = STATE if joined else name
        if feature.is_depth and name.startswith(f"{IMAGES}."):
            key = f"{_LEROBOT_DEPTH}.{name.removeprefix(f'{IMAGES}.').removesuffix(DEPTH)}"
            if key in features:
                raise DatasetError(f"a LeRobot dataset has no place for both {name} and {key}")
        keys.setdefault(key, []).append(name)
    for name in keys:
        if "/" in name or name in _LEROBOT_OWN or name.startswith(("next.", "robolearn.")):
            raise DatasetError(f"a LeRobot dataset has no place for a feature called {name!r}")
    return keys


def lerobot_observations(keys: Iterable[str]) -> list[str]:
    """Which features of a LeRobot dataset are of the observations."""
    return [key for key in keys if key.startswith(OBSERVATION) or key == SIMULATOR_STATE]


def _is_part(name: str, feature: Feature) -> bool:
    floating = feature.dtype in {"float32", "float64"} and len(feature.shape) == 1
    return name.startswith(f"{STATE}.") and floating


def _require_canonical(key: str, canonical: str) -> None:
    if key != canonical:
        raise DatasetError(f"{key!r} cannot be the name of a feature: it is called {canonical!r}")


def _own_name(feature: str) -> str | None:
    """``<camera>`` or ``<part>``, where that is all that the name says."""
    for stem in (IMAGES, STATE):
        name = feature.removeprefix(f"{stem}.")
        if name != feature and _PLAIN.fullmatch(name):
            return name
    return None


def _whole(feature: str, layout: str) -> str:
    if not _KEPT_WHOLE.fullmatch(feature):
        raise DatasetError(f"a {layout} layout has no place for a feature called {feature!r}")
    return feature
