"""Which features of a dataset say where the arm and the objects are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from robolearn.episodes.features import ENVIRONMENT_STATE, STATE, Feature
from robolearn.errors import FeatureMismatch
from robolearn.policies.auxiliary.config import AuxiliaryConfig

_POSES = ("eef_pos", "eef_quat")
"""Ends of the names of the features that simulators call the hand's pose by."""


def arm_features(config: AuxiliaryConfig, features: Mapping[str, Feature]) -> dict[str, Feature]:
    """Where the arm is.

    Args:
        config: that may name them.
        features: of a dataset, or what `learnt_features` took from it.

    Raises:
        FeatureMismatch: there are none, or one is no vector.
    """
    found = [name for name in features if name.startswith(STATE) and name.endswith(_POSES)]
    found = found or [name for name in features if name.startswith(STATE)]
    return _taken(config.arm_features or found, features, "arm_features", "where the arm is")


def object_features(config: AuxiliaryConfig, features: Mapping[str, Feature]) -> dict[str, Feature]:
    """Where the objects are; see `arm_features`."""
    found = [ENVIRONMENT_STATE] if ENVIRONMENT_STATE in features else []
    names = config.object_features or found
    return _taken(names, features, "object_features", "where the objects are")


def learnt_features(
    config: AuxiliaryConfig, features: Mapping[str, Feature], seen: Mapping[str, Feature]
) -> dict[str, Feature]:
    """What is learnt of, whether it is seen or not.

    Args:
        config: with the losses' weights.
        features: of a dataset.
        seen: the vectors that the policy sees.

    Raises:
        FeatureMismatch: what a loss needs is not there.
    """
    found: dict[str, Feature] = {}
    if config.needs_arm or (config.next_observation and not seen):
        found |= arm_features(config, features)
    if config.object_pose:
        found |= object_features(config, features)
    return found


def _taken(
    names: Sequence[str], features: Mapping[str, Feature], option: str, what: str
) -> dict[str, Feature]:
    vectors = {name: feature for name, feature in features.items() if len(feature.shape) == 1}
    unknown = [name for name in names if name not in vectors]
    if unknown or not names:
        raise FeatureMismatch(
            f"no vector of the dataset says {what}"
            f"{f': there is no {unknown[0]}' if unknown else ''}; name some with "
            f"auxiliary.{option}: {', '.join(vectors) or 'there are none'}"
        )
    return {name: vectors[name] for name in names}
