"""What every way of improving a policy answers to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from robolearn.learning.finetuning.trajectories import Situation, Trajectories, Transitions
from robolearn.learning.rewards.base import DemonstrationReward
from robolearn.policies.distribution import PolicyDistribution
from robolearn.policies.policy import Policy

type CloningLoss = Callable[[], torch.Tensor]
"""The cloning loss on a batch of demonstrations, with its gradient."""


@dataclass(frozen=True)
class Practice:
    """What a policy is to learn from now.

    Attributes:
        rollouts: none of them seen before; of the policy as it is, unless it learns from others'.
        reward: as it now is.
        cloning: loss of the demonstrations.
        cloning_weight: of that loss.
        policy_stays: only what is learnt of values is to change.
    """

    rollouts: Trajectories
    reward: DemonstrationReward
    cloning: CloningLoss
    cloning_weight: float
    policy_stays: bool


class PolicyUpdate(ABC):
    """Improves a policy by a reward.

    Args:
        policy: that is improved, in place.

    Attributes:
        learns_from_others: what other policies did, such as it was a while ago, is as good.
        rate: share of the policy's configured steps that is gone.
    """

    learns_from_others: ClassVar[bool] = False

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.rate = 1.0

    @abstractmethod
    def choose(self, distribution: PolicyDistribution, generator: torch.Generator) -> torch.Tensor:
        """(N, 1, A) what a rollout does."""

    @abstractmethod
    def improve(self, practice: Practice, generator: torch.Generator) -> dict[str, float]:
        """Learn; gives figures to look at, by name."""

    @abstractmethod
    def state_dict(self) -> dict[str, torch.Tensor]:
        """All that changes beside the policy, as tensors by name."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from a `state_dict`."""


def decide(policy: Policy, situation: Situation) -> PolicyDistribution:
    """What a policy would do."""
    has_past = policy.config.memory.past_actions > 0
    decided: PolicyDistribution = policy(
        situation.observations,
        situation.past_actions if has_past else None,
        situation.frame_is_pad,
        situation.past_action_is_pad if has_past else None,
    )
    return decided


def log_probs(policy: Policy, transitions: Transitions) -> torch.Tensor:
    """(B,) log π(a|s) of what was asked for."""
    return decide(policy, transitions.before).log_prob(transitions.actions_asked[:, None])


def divergence(change: torch.Tensor) -> torch.Tensor:
    """Mean Kullback-Leibler divergence of the new policy from the old, KL(old ‖ new), in nats.

    Estimated by −E log ρ, which counts what is far out by its logarithm. E (ρ − 1 − log ρ)
    (Schulman 2020, "Approximating KL Divergence") varies less near the old policy, but counts it
    by ρ: of thousands of actions of a mixture a single one that has become e⁶ times as likely
    would halve every step.

    Args:
        change: (N,) log ρ of what the old policy did, ρ = π(a|s) / π_old(a|s).
    """
    return -change.mean()


def least_divergence(change: torch.Tensor) -> torch.Tensor:
    """The least divergence, in nats, that a policy can have which differs as much: 2 TV² ≤ KL
    (Pinsker), of the total variation TV = E max(0, 1 − ρ).

    No action counts for more than 1 in it, however narrow a Gaussian has moved away from it.

    Args:
        change: as of `divergence`.
    """
    return 2 * (1 - change.exp()).clamp_min(0.0).mean().square()
