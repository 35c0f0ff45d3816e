"""What the methods share that learn from what the policy just did, and then forget it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from robolearn.learning.finetuning.trajectories import Transitions
from robolearn.learning.optimization import load_moments, moments_of, take_step
from robolearn.learning.updates.advantages import generalized_advantages
from robolearn.learning.updates.base import PolicyUpdate, Practice, log_probs
from robolearn.learning.updates.config import UpdateConfig
from robolearn.learning.updates.critics import CriticInputs, Ensemble
from robolearn.learning.updates.divergence import divergence
from robolearn.policies.distribution import PolicyDistribution
from robolearn.policies.policy import Policy

_HIDDEN = 128
_BATCH = 512


@dataclass(frozen=True)
class Judged:
    """Transitions, and how good what was done was.

    Attributes:
        transitions: N of them.
        log_probs: (N,) of the policy that did it.
        advantages: (N,) of zero mean and unit deviation.
    """

    transitions: Transitions
    log_probs: torch.Tensor
    advantages: torch.Tensor

    def change(self, policy: Policy) -> torch.Tensor:
        """(N,) log ρ, ρ = π(a|s) / π_old(a|s), of a policy that has learnt since."""
        return log_probs(policy, self.transitions) - self.log_probs


class OnPolicy(PolicyUpdate):
    """Rewards → advantages → a step of the policy → values.

    The reward of a step may hold −λ log π(a|s) (Ho & Ermon 2016, equation 15: causal entropy).
    Horizons are no ends: after the last step comes the value of what was seen then. What follows
    the end of a task is r_absorbing / (1 − γ).

    Args:
        policy: that is improved, in place.
        inputs: what values are told from.
        config: of the method.
    """

    def __init__(self, policy: Policy, inputs: CriticInputs, config: UpdateConfig) -> None:
        super().__init__(policy)
        self.config = config
        self._inputs = inputs
        self.values = Ensemble(1, inputs.width, _HIDDEN)
        self._optimizer = torch.optim.Adam(self.values.parameters())

    @property
    def trace(self) -> float:
        """λ."""
        return self.config.trace

    def choose(self, distribution: PolicyDistribution, generator: torch.Generator) -> torch.Tensor:
        return distribution.sample(generator)

    @abstractmethod
    def step(
        self, judged: Judged, practice: Practice, generator: torch.Generator
    ) -> dict[str, float]:
        """Improve the policy."""

    def improve(self, practice: Practice, generator: torch.Generator) -> dict[str, float]:
        judged, returns, figures = self._judge(practice)
        if not practice.policy_stays:
            figures |= self.step(judged, practice, generator)
            with torch.no_grad():
                figures["divergence"] = divergence(judged.change(self.policy)).item()
        figures["value_loss"] = self._learn_values(judged.transitions, returns, generator)
        return figures

    def _judge(self, practice: Practice) -> tuple[Judged, torch.Tensor, dict[str, float]]:
        config, rollouts = self.config, practice.rollouts
        real = rollouts.real
        transitions = rollouts[real]
        with torch.no_grad():
            log_prob = log_probs(self.policy, transitions)
            rewards = practice.reward.reward(transitions)
            worth = self.values(self._inputs(transitions.before))[0]
            following = self.values(self._inputs(transitions.after))[0]
        over = practice.reward.of_absorbing / (1 - config.discount)
        following = torch.where(transitions.terminated, over, following)
        lengths = rollouts.real_lengths
        table = torch.arange(int(lengths.max())) < lengths[:, None]
        last = lengths.cumsum(0) - 1
        advantages = generalized_advantages(
            _as_table(rewards - config.entropy * log_prob, table),
            _as_table(worth, table),
            following[last],
            lengths,
            config.discount,
            self.trace,
        )[table]
        figures = {"reward": rewards.mean().item(), "entropy": -log_prob.mean().item()}
        spread = advantages.std().clamp_min(1e-6)
        judged = Judged(transitions, log_prob, (advantages - advantages.mean()) / spread)
        return judged, advantages + worth, figures

    def _learn_values(
        self, transitions: Transitions, returns: torch.Tensor, generator: torch.Generator
    ) -> float:
        inputs = self._inputs(transitions.before)
        total, batches = 0.0, 0
        for _ in range(self.config.value_passes):
            for part in torch.randperm(len(inputs), generator=generator).split(_BATCH):
                loss = (self.values(inputs[part])[0] - returns[part]).square().mean()
                take_step(self._optimizer, self.config.value_rate, loss, norm=10.0)
                total, batches = total + loss.item(), batches + 1
        return total / batches

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {
            **{f"values.{name}": value for name, value in self.values.state_dict().items()},
            **moments_of(self._optimizer, "values_optimizer."),
        }

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        own = {
            name.removeprefix("values."): value
            for name, value in state.items()
            if name.startswith("values.")
        }
        self.values.load_state_dict(own)
        load_moments(self._optimizer, state, "values_optimizer.")


def _as_table(values: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """(N,) of all episodes one after the other → (E, T), zero where an episode is shorter."""
    out = values.new_zeros(table.shape)
    out[table] = values
    return out
