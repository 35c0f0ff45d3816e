"""A reward and a potential."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from robolearn.learning.finetuning.trajectories import Transitions
from robolearn.learning.rewards.adversarial import AdversarialReward
from robolearn.learning.rewards.config import DiscriminatorConfig, RewardConfig
from robolearn.learning.rewards.discriminator import Discriminator
from robolearn.learning.rewards.features import SeenFeatures
from robolearn.policies.action_units import ActionUnits

_LEAST_LOG_PROB = -20.0
"""Exploration goes where some heads have no density, which would be worth infinitely much."""


class AirlReward(AdversarialReward):
    """Adversarial inverse reinforcement learning (Fu et al. 2018, equation 4).

    D = exp f / (exp f + π(a|s)), f(s, a, s') = g(s, a) + γ h(s') − h(s). So the logit is
    f − log π(a|s), where π is the policy as it is when the reward is learnt. Where the task is over
    after a step, h(s') is that of the absorbing state.

    Args:
        seen: of s and s'.
        units: of the actions.
        size: A, elements of an action.
        config: of the reward.
        discount: γ.
        log_prob: log π(a|s) of transitions, (B,).
    """

    asks_policy = True

    def __init__(
        self,
        seen: SeenFeatures,
        units: ActionUnits,
        size: int,
        config: RewardConfig,
        discount: float,
        log_prob: Callable[[Transitions], torch.Tensor],
    ) -> None:
        network = _Potential(seen.width, size, config.discriminator, discount)
        super().__init__(network, 2 * seen.width + size + 1, config)
        self._of_state = seen
        self._units = units
        self._log_prob = log_prob

    def inputs(self, transitions: Transitions) -> torch.Tensor:
        done = self._units.past(transitions.actions)
        before = self._of_state(transitions.before.present)
        over = transitions.terminated[:, None]
        after = self._of_state(transitions.after.present).masked_fill(over, 0.0)
        return torch.cat([before, done, after, over.float()], -1)

    @torch.no_grad()
    def log_policy(self, transitions: Transitions) -> torch.Tensor:
        found = self._log_prob(transitions).clamp_min(_LEAST_LOG_PROB)
        return found.masked_fill(transitions.absorbing, 0.0)


class _Potential(nn.Module):
    """f(s, a, s') of (B, D + A + D + 2) inputs: the last ones mark s' and s as absorbing."""

    def __init__(self, width: int, size: int, config: DiscriminatorConfig, discount: float) -> None:
        super().__init__()
        self.reward = Discriminator(width + size + 1, config)
        self.potential = Discriminator(width + 1, config)
        self._sizes = (width, size, width, 1, 1)
        self._discount = discount

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        before, done, after, over, absorbing = inputs.split(self._sizes, -1)
        worth: torch.Tensor = self.reward(torch.cat([before, done, absorbing], -1))
        now = self.potential(torch.cat([before, absorbing], -1))
        then = self.potential(torch.cat([after, torch.maximum(over, absorbing)], -1))
        worth += self._discount * then - now
        return worth
