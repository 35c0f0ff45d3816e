"""The rewards by their names in the config."""

from __future__ import annotations

from robolearn.learning.rewards.adversarial import AdversarialReward
from robolearn.learning.rewards.airl import AirlReward
from robolearn.learning.rewards.config import RewardConfig
from robolearn.learning.rewards.features import SeenFeatures
from robolearn.learning.rewards.gail import GailReward
from robolearn.learning.rewards.state_only import StateOnlyReward
from robolearn.learning.updates.base import log_probs
from robolearn.policies.policy import Policy


def make_reward(
    config: RewardConfig, seen: SeenFeatures, policy: Policy, discount: float
) -> AdversarialReward:
    """What the config names.

    Args:
        config: of the reward.
        seen: what it is learnt from.
        policy: that practises.
        discount: γ.
    """
    size = len(policy.schema.action.low)
    match config.method:
        case "gail":
            return GailReward(seen, policy.units, size, config)
        case "state-only":
            return StateOnlyReward(seen, config)
        case "airl":
            return AirlReward(
                seen, policy.units, size, config, discount, lambda of: log_probs(policy, of)
            )
