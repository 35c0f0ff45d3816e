"""One step along the policy gradient."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from robolearn.learning.optimization import load_moments, moments_of, take_step
from robolearn.learning.updates.base import Practice, log_probs
from robolearn.learning.updates.config import UpdateConfig
from robolearn.learning.updates.critics import CriticInputs
from robolearn.learning.updates.on_policy import Judged, OnPolicy
from robolearn.policies.policy import Policy


class PolicyGradient(OnPolicy):
    """L = −E log π(a|s) Â + the cloning term.

    With λ = 1, which is ``reinforce``, Â is the return less the value as a baseline (Williams 1992;
    Sutton & Barto 2018, section 13.4); else it is an advantage actor-critic (A2C, Mnih et al.
    2016).

    Args:
        policy: that is improved, in place.
        inputs: what values are told from.
        config: of the method.
    """

    def __init__(self, policy: Policy, inputs: CriticInputs, config: UpdateConfig) -> None:
        super().__init__(policy, inputs, config)
        self._adam = torch.optim.Adam(policy.parameters())

    @property
    def trace(self) -> float:
        return 1.0 if self.config.method == "reinforce" else self.config.trace

    def step(
        self, judged: Judged, practice: Practice, generator: torch.Generator
    ) -> dict[str, float]:
        gain = (log_probs(self.policy, judged.transitions) * judged.advantages).mean()
        loss = practice.cloning_weight * practice.cloning() - gain
        taken = take_step(self._adam, self.rate * self.config.gradient.learning_rate, loss)
        return {"steps_rejected": float(not taken)}

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {**super().state_dict(), **moments_of(self._adam, "policy_optimizer.")}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        super().load_state_dict(state)
        load_moments(self._adam, state, "policy_optimizer.")
