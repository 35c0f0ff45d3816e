"""What a policy makes of recorded episodes: where its mixture puts its modes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from robolearn.episodes.episode import Episode
from robolearn.episodes.features import TASK_INDEX
from robolearn.episodes.frames import Array
from robolearn.episodes.loading.windows import history_rows
from robolearn.policies.policy import Policy

_AT_ONCE = 256
"""Frames that are asked about together; their images are in memory."""


@dataclass(frozen=True)
class ModeTrace:
    """A policy's answers along an episode.

    Attributes:
        weights: (T, M) of the mixture's Gaussians; each row sums to 1.
        actions: (T, M, A_arm) their means, in the environment's units.
        closed: (T, G) probability that each gripper is to be closed.
    """

    weights: Array
    actions: Array
    closed: Array


@torch.inference_mode()
def trace_modes(policy: Policy, episode: Episode) -> ModeTrace:
    """Ask a policy at each frame of an episode, with the history that it would have had.

    Args:
        policy: to ask; its head is a mixture.
        episode: with the policy's input features.
    """
    answers = [
        _answers(policy, episode, np.arange(first, min(first + _AT_ONCE, len(episode))))
        for first in range(0, len(episode), _AT_ONCE)
    ]
    weights, actions, closed = (np.concatenate(parts) for parts in zip(*answers, strict=True))
    return ModeTrace(weights, actions, closed)


def _answers(policy: Policy, episode: Episode, frames: Array) -> tuple[Array, Array, Array]:
    """Weights, actions and closed at these frames (N,), which follow one another."""
    memory = policy.config.memory
    rows = history_rows(len(episode), memory.history)[frames]
    first, stop = int(rows[0, 0]), int(rows[-1, -1]) + 1
    observations: dict[str, torch.Tensor] = {}
    for name in policy.schema.inputs:
        if name == TASK_INDEX:
            values: Array = np.full(
                (stop - first, 1), policy.schema.tasks.index(episode.context.task)
            )
        elif name in episode.images:
            values = episode.images[name][first:stop]
        else:
            values = episode.observations[name][first:stop]
        observations[name] = torch.from_numpy(values[rows - first]).to(policy.device)
    done = frames[:, None] - np.arange(memory.past_actions, 0, -1)
    past = episode.actions[np.maximum(done, 0)].astype(np.float32)
    seen = frames[:, None] + np.arange(1 - memory.history, 1)
    distribution = policy(
        observations,
        torch.from_numpy(past).to(policy.device) if memory.past_actions else None,
        torch.from_numpy(seen < 0).to(policy.device),
        torch.from_numpy(done < 0).to(policy.device) if memory.past_actions else None,
    )
    answer = (
        distribution.mode_weights,
        distribution.mode_actions[:, :, 0],
        distribution.gripper.probs[:, 0],
    )
    weights, actions, closed = (values.cpu().numpy() for values in answer)
    return weights, actions, closed
