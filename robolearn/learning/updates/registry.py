"""The ways of improving a policy by their names in the config."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from robolearn.learning.finetuning.trajectories import Trajectories
from robolearn.learning.updates.base import PolicyUpdate
from robolearn.learning.updates.config import UpdateConfig
from robolearn.learning.updates.critics import CriticInputs
from robolearn.learning.updates.off_policy import OffPolicy
from robolearn.learning.updates.policy_gradient import PolicyGradient
from robolearn.learning.updates.ppo import Ppo
from robolearn.learning.updates.trpo import Trpo
from robolearn.policies.policy import Policy

_ON_POLICY: Mapping[str, Callable[[Policy, CriticInputs, UpdateConfig], PolicyUpdate]] = {
    "trpo": Trpo,
    "ppo": Ppo,
    "actor-critic": PolicyGradient,
    "reinforce": PolicyGradient,
}


def make_update(
    policy: Policy,
    inputs: CriticInputs,
    demonstrations: Trajectories,
    replay: Trajectories,
    config: UpdateConfig,
) -> PolicyUpdate:
    """What the config names, for a policy; see `OffPolicy` for the others."""
    if config.method == "off-policy":
        return OffPolicy(policy, inputs, demonstrations, replay, config)
    return _ON_POLICY[config.method](policy, inputs, config)
