"""The policy: encoder, mixture head for the arm, separate head for the gripper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.distributions import Bernoulli, MixtureSameFamily

from robolearn.episodes.loading.windows import Batch, Windows
from robolearn.policies.config import PolicyConfig
from robolearn.policies.encoder import StateEncoder
from robolearn.policies.heads import GripperHead, MixtureHead
from robolearn.policies.normalization import Normalizer
from robolearn.policies.schema import PolicySchema


@dataclass(frozen=True)
class ActionDistribution:
    """A policy's answer to B observations.

    Attributes:
        arm: mixture over the normalised arm action, (B, A_arm).
        gripper: over (B, G), 1 where closed.
        policy: that it came from; it knows the units.
    """

    arm: MixtureSameFamily
    gripper: Bernoulli
    policy: Policy

    def arm_log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        """(B, A) actions → (B,) log-density of their normalised arm part."""
        density: torch.Tensor = self.arm.log_prob(self.policy.normalized_arm(actions))
        return density

    def gripper_log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        """(B, A) actions → (B,) log-probability of their gripper part."""
        density: torch.Tensor = self.gripper.log_prob(self.policy.gripper_closed(actions)).sum(-1)
        return density

    def log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        """(B, A) actions → (B,)."""
        return self.arm_log_prob(actions) + self.gripper_log_prob(actions)

    @property
    def mode_weights(self) -> torch.Tensor:
        """(B, M) weights of the mixture."""
        weights: torch.Tensor = self.arm.mixture_distribution.probs
        return weights

    @property
    def mode_actions(self) -> torch.Tensor:
        """(B, M, A_arm) means of the mixture's Gaussians, in the environment's units."""
        means: torch.Tensor = self.arm.component_distribution.mean
        return self.policy.arm_normalizer.inverse(means)

    def most_likely(self) -> torch.Tensor:
        """(B, A): the mean of the heaviest Gaussian, the gripper as is more probable."""
        heaviest = self.mode_weights.argmax(-1)
        arm = self.mode_actions[torch.arange(len(heaviest)), heaviest]
        return self.policy.action(arm, self.gripper.logits > 0)


class Policy(nn.Module):
    """Decides on an action from the last K observations.

    The gripper's elements of the action are opened (``low``) or closed (``high``), nothing between.

    Args:
        schema: what goes in and out.
        config: the network.
    """

    def __init__(self, schema: PolicySchema, config: PolicyConfig) -> None:
        super().__init__()
        self.schema = schema
        self.config = config
        action = schema.action
        self._arm = list(action.arm)
        self._gripper = list(action.gripper)
        low = torch.tensor(action.low, dtype=torch.float32)
        high = torch.tensor(action.high, dtype=torch.float32)
        self.register_buffer("_low", low, persistent=False)
        self.register_buffer("_high", high, persistent=False)
        self._low: torch.Tensor
        self._high: torch.Tensor
        self.encoder = StateEncoder(schema.inputs, config.history, config.hidden, config.dropout)
        self.arm_normalizer = Normalizer(len(self._arm))
        self.arm_head = MixtureHead(
            self.encoder.width, len(self._arm), config.modes, config.least_scale
        )
        self.gripper_head = GripperHead(self.encoder.width, len(self._gripper))

    def fit_normalization(self, windows: Windows) -> None:
        """Take the normalisation of observations and actions from demonstrations."""
        self.encoder.fit(windows.observations)
        self.arm_normalizer.fit(windows.actions[:, self._arm])

    def forward(self, observations: Mapping[str, torch.Tensor]) -> ActionDistribution:
        """(B, K, D) by feature name → distribution over (B, A)."""
        features = self.encoder(observations)
        return ActionDistribution(self.arm_head(features), self.gripper_head(features), self)

    def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Negative log-likelihoods of the demonstrated actions, each a mean over the batch.

        Returns:
            ``arm`` in nats of the normalised action, ``gripper`` in nats, and their sum ``total``,
            L = L_arm + λ L_gripper with λ = ``gripper_weight``.
        """
        distribution = self(batch.observations)
        arm = -distribution.arm_log_prob(batch.action).mean()
        gripper = -distribution.gripper_log_prob(batch.action).mean()
        return {"total": arm + self.config.gripper_weight * gripper, "arm": arm, "gripper": gripper}

    def normalized_arm(self, actions: torch.Tensor) -> torch.Tensor:
        """(..., A) → (..., A_arm)."""
        normalized: torch.Tensor = self.arm_normalizer(actions[..., self._arm])
        return normalized

    def gripper_closed(self, actions: torch.Tensor) -> torch.Tensor:
        """(..., A) → (..., G), 1 where the action is nearer to closed than to open."""
        middle = (self._low + self._high) / 2
        return (actions > middle)[..., self._gripper].float()

    def action(self, arm: torch.Tensor, closed: torch.Tensor) -> torch.Tensor:
        """(B, A_arm) in the environment's units and (B, G) → (B, A)."""
        action = self._low.repeat(len(arm), 1)
        action[:, self._arm] = arm
        action[:, self._gripper] = torch.where(
            closed, self._high[self._gripper], self._low[self._gripper]
        )
        return action
