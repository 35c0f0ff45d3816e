"""Policies of earlier format versions, as the present version has them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import torch

from robolearn.episodes.features import Feature

type Weights = dict[str, torch.Tensor]


def from_version_1(description: Mapping[str, Any], weights: Weights) -> tuple[Any, Weights]:
    """The same network under other names.

    In version 1 there was one network: an MLP over the stacked frames, and a mixture of Gaussians.
    Its rotations stood where the quaternions did, and stand behind all else now.

    Args:
        description: of the policy, version 1.
        weights: by name, version 1.

    Returns:
        Both, of version 2.

    Raises:
        KeyError: something is missing.
    """
    before = description["policy"]
    config = {
        "inputs": before["inputs"],
        "gripper_weight": before["gripper_weight"],
        "memory": {name: before[name] for name in ("history", "hidden", "dropout")},
        "action": {
            "head": "mixture",
            "mixture": {name: before[name] for name in ("modes", "least_scale")},
        },
    }
    schema = {**description["schema"], "tasks": [], "learnt": {}}
    order = _new_order(schema["inputs"])
    found: Weights = {}
    for new, old in (("encoder.state", "encoder"), ("units.arm", "arm")):
        suffix = "_normalizer" if new == "units.arm" else ".normalizer"
        mean, scale = (weights[f"{old}{suffix}.{name}"] for name in ("mean", "deviation"))
        if new == "encoder.state":
            mean, scale = mean[order], scale[order]
        found[f"{new}{suffix}.center"] = mean
        found[f"{new}{suffix}.scale"] = scale
        found[f"{new}{suffix}.gain"] = scale.reciprocal()
    apart = 3 if before["dropout"] else 2  # there is no layer of dropout where there is none
    for layer in range(len(before["hidden"])):
        for name in ("weight", "bias"):
            value = weights[f"encoder.layers.{3 * layer}.{name}"]
            if layer == 0 and name == "weight":
                frames = value.unflatten(1, (before["history"], len(order)))
                value = frames[..., order].flatten(1)
            found[f"memory.layers.{apart * layer}.{name}"] = value
    for name in ("weight", "bias"):
        parts = [weights[f"arm_head.{part}.{name}"] for part in ("weights", "means", "scales")]
        found[f"arm_head.parameters_of_mixture.{name}"] = torch.cat(parts)
        found[f"gripper_head.closed.{name}"] = weights[f"gripper_head.closed.{name}"]
    return {"format_version": 2, "policy": config, "schema": schema}, found


def _new_order(inputs: Mapping[str, Any]) -> list[int]:
    """Where each element of the new state vector stood in the old one."""
    plain: list[int] = []
    rotated: list[int] = []
    at = itertools.count()
    for feature in map(Feature.from_json, inputs.values()):
        starts = feature.quaternions()
        inside = {start + i for start in starts for i in range(4)}
        for index in range(feature.shape[0]):
            if index in starts:
                rotated += itertools.islice(at, 6)
            elif index not in inside:
                plain.append(next(at))
    return plain + rotated
