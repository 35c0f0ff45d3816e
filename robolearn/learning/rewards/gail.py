"""A reward for what is seen and done."""

from __future__ import annotations

import torch

from robolearn.learning.finetuning.trajectories import Transitions
from robolearn.learning.rewards.adversarial import AdversarialReward
from robolearn.learning.rewards.config import RewardConfig
from robolearn.learning.rewards.discriminator import Discriminator
from robolearn.learning.rewards.features import SeenFeatures
from robolearn.policies.action_units import ActionUnits


class GailReward(AdversarialReward):
    """Generative adversarial imitation learning (Ho & Ermon 2016): D sees (s, a).

    Args:
        seen: of s.
        units: of the actions.
        size: A, elements of an action.
        config: of the reward.
    """

    def __init__(
        self, seen: SeenFeatures, units: ActionUnits, size: int, config: RewardConfig
    ) -> None:
        width = seen.width + size
        super().__init__(Discriminator(width + 1, config.discriminator), width, config)
        self._of_state = seen
        self._units = units

    def inputs(self, transitions: Transitions) -> torch.Tensor:
        done = self._units.past(transitions.actions)
        return torch.cat([self._of_state(transitions.before.present), done], -1)
