"""What a policy makes of recorded episodes: where its mixture puts its modes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from robolearn.episodes.episode import Episode
from robolearn.episodes.frames import Array
from robolearn.episodes.loading.windows import history_rows
from robolearn.policies.policy import Policy


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
        policy: to ask.
        episode: with the policy's input features.
    """
    rows = history_rows(len(episode), policy.config.history)
    device = next(policy.parameters()).device
    distribution = policy(
        {
            name: torch.from_numpy(episode.observations[name][rows]).to(device)
            for name in policy.schema.inputs
        }
    )
    return ModeTrace(
        weights=distribution.mode_weights.cpu().numpy(),
        actions=distribution.mode_actions.cpu().numpy(),
        closed=distribution.gripper.probs.cpu().numpy(),
    )
