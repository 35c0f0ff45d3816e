"""Where a policy's mixture puts its modes."""

from __future__ import annotations

import numpy as np
import rerun as rr

from robolearn.policies.policy import Policy
from robolearn.viewing import entities
from robolearn.viewing.hand import Hand
from robolearn.viewing.layers.layer import Layer, name_series, send_scalars
from robolearn.viewing.modes import trace_modes
from robolearn.viewing.palette import (
    distinct,
)
from robolearn.viewing.timeline import Clip

_LARGEST_MODE = 0.017
"""Radius in m of a mode that has all the weight."""


class Modes(Layer):
    """Where a policy's mixture puts its modes.

    Args:
        recording: in which the series get their names and colours.
        policy: to ask at each frame; its head is a mixture.
        hand: that the modes send somewhere; None where it is not known.
    """

    def __init__(self, recording: rr.RecordingStream, policy: Policy, hand: Hand | None) -> None:
        self._policy = policy
        self._hand = hand
        self._colors = distinct(policy.modes)
        names = tuple(f"mode {index + 1}" for index in range(policy.modes))
        name_series(recording, entities.MODE_WEIGHTS, names, self._colors)
        action = policy.schema.action
        grippers = tuple(
            f"P({action.names[index] if action.names else index} closes)"
            for index in action.gripper
        )
        colors = distinct(len(grippers) + 1)[1:]  # the first is the recorded action's
        name_series(recording, entities.GRIPPER_CLOSED, grippers, colors)

    def log(self, recording: rr.RecordingStream, clip: Clip) -> None:
        trace = trace_modes(self._policy, clip.episode)
        columns = clip.columns()
        send_scalars(recording, entities.MODE_WEIGHTS, columns, trace.weights)
        if trace.closed.shape[1]:
            send_scalars(recording, entities.GRIPPER_CLOSED, columns, trace.closed)
        targets = None if self._hand is None else self._hand.targets(clip.episode, trace.actions)
        if targets is None:
            return
        steps, modes = trace.weights.shape
        colors = np.empty((steps, modes, 4), np.uint8)
        colors[..., :3] = self._colors
        colors[..., 3] = np.round(55 + 200 * trace.weights)
        rr.send_columns(
            entities.MODES,
            columns,
            rr.Points3D.columns(
                positions=targets.reshape(-1, 3).astype(np.float32),
                # Volumes are as the weights.
                radii=(_LARGEST_MODE * np.cbrt(trace.weights)).reshape(-1).astype(np.float32),
                colors=colors.reshape(-1, 4),
            ).partition([modes] * steps),
            recording=recording,
        )
