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
