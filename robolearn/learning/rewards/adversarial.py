"""What the adversarial rewards share: a network that learns to tell expert from policy."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from robolearn.learning.finetuning.trajectories import Trajectories, Transitions
from robolearn.learning.optimization import load_moments, moments_of, take_step
from robolearn.learning.rewards.base import DemonstrationReward
from robolearn.learning.rewards.config import Form, RewardConfig
from robolearn.learning.rewards.discriminator import gradient_penalty, logit_entropy

_SPREAD = 2.0
"""Standard deviation of the noise that stands for what nobody did, where what is seen has 1."""


class AdversarialReward(DemonstrationReward):
    """L = −E_expert log D − E_policy log(1 − D) (Ho & Ermon 2016, equation 16, where D is the
    policy's probability instead of the expert's), with what keeps the network smooth.

    A share of what stands for the policy is noise, unless the logit is bound to the policy's
    density. What neither did is else worth whatever the network goes on to say there, and a policy
    that is led there stays until it has been told.

    Of the absorbing state it sees zeros and a mark.

    Args:
        network: from inputs (B, D + 1) to (B,).
        width: D.
        config: of the reward.
    """

    asks_policy = False
    """Whether the logit is told only with the policy, and so with what the policy sees."""

    def __init__(self, network: nn.Module, width: int, config: RewardConfig) -> None:
        super().__init__()
        self.network = network
        self._width = width
        self._config = config
        of = config.discriminator
        self.optimizer = torch.optim.AdamW(
            network.parameters(), weight_decay=of.weight_decay, fused=True
        )

    @abstractmethod
    def inputs(self, transitions: Transitions) -> torch.Tensor:
        """(B, D) what the network sees of transitions."""

    def log_policy(self, transitions: Transitions) -> torch.Tensor | float:
        """(B,) what is taken from the network's answer to make the logit."""
        return 0.0

    def expert_logits(self, transitions: Transitions) -> torch.Tensor:
        """(B,) log D − log(1 − D)."""
        logits: torch.Tensor = self.network(self._seen(transitions))
        return logits - self.log_policy(transitions)

    @property
    def _absorbing(self) -> torch.Tensor:
        """(1, D + 1) what the network sees of the absorbing state."""
        seen = torch.zeros(1, self._width + 1)
        seen[0, -1] = 1.0
        return seen

    def elsewhere(self, shown: torch.Tensor) -> torch.Tensor:
        """(B, D) what the network would see of what nobody did.

        Args:
            shown: (B, D) what it sees of the expert.
        """
        return _SPREAD * torch.randn_like(shown)

    @torch.no_grad()
    def _seen(self, transitions: Transitions) -> torch.Tensor:
        absorbing = transitions.absorbing[:, None]
        inputs = self.inputs(transitions).masked_fill(absorbing, 0.0)
        return torch.cat([inputs, absorbing.float()], -1)

    def update(
        self, demonstrations: Trajectories, rollouts: Trajectories, generator: torch.Generator
    ) -> dict[str, float]:
        of = self._config.discriminator
        shares = (demonstrations.absorbing_share(), rollouts.absorbing_share(of.recent))
        self.network.train()
        accuracies, skipped, rejected = [], 0, 0
        for _ in range(of.updates):
            expert = demonstrations.sample(of.batch, generator)
            policy = rollouts.sample(of.batch, generator, newest=of.recent)
            accuracy, loss = self._loss(expert, policy, shares)
            accuracies.append(accuracy)
            if accuracy > of.accuracy_target:
                skipped += 1
                continue
            rejected += not take_step(self.optimizer, of.learning_rate, loss, norm=100.0)
        self.network.eval()
        return {
            "accuracy": sum(accuracies) / len(accuracies),
            "skipped": skipped / of.updates,
            "steps_rejected": float(rejected),
        }

    def _loss(
        self, expert: Transitions, policy: Transitions, absorbing_shares: tuple[float, float]
    ) -> tuple[float, torch.Tensor]:
        """Share of both that is told rightly, and what to minimise.

        The steps in the absorbing state are all the same, so that one stands for its share of
        them; drawn like others, they would leave little of a batch where episodes end early.
        """
        of = self._config.discriminator
        # What is told only with the policy's density cannot be told of what it never did.
        noise = 0 if self.asks_policy else round(of.elsewhere * len(policy))
        policy = policy[torch.arange(noise, len(policy))]
        shown = self._seen(expert)
        elsewhere = functional.pad(self.elsewhere(shown[:noise, :-1]), (0, 1))
        seen = shown, torch.cat([elsewhere, self._seen(policy)])
        logits = torch.stack(
            [
                self.network(seen[0]) - self.log_policy(expert),
                self.network(seen[1]) - self.log_policy(policy),
            ]
        )
        is_expert = torch.tensor([[True], [False]]).expand_as(logits)
        is_told = (logits > 0) == is_expert
        accuracy = torch.cat([is_told[0], is_told[1, noise:]]).float().mean().item()
        losses = functional.binary_cross_entropy_with_logits(
            logits, is_expert.float(), reduction="none"
        ).mean(-1)
        if any(absorbing_shares):
            shares = torch.tensor(absorbing_shares)
            absorbing = self.network(self._absorbing)
            losses = (1 - shares) * losses + shares * functional.softplus(
                torch.cat([-absorbing, absorbing])
            )
        loss = losses.mean()
        if of.gradient_penalty:
            loss = loss + of.gradient_penalty * gradient_penalty(self.network, *seen)
        if of.entropy:
            loss = loss - of.entropy * logit_entropy(logits)
        return accuracy, loss

    @torch.no_grad()
    def reward(self, transitions: Transitions) -> torch.Tensor:
        return shaped(self.expert_logits(transitions), self._config.form, self._config.limit)

    @property
    @torch.no_grad()
    def of_absorbing(self) -> float:
        return shaped(self.network(self._absorbing), self._config.form, self._config.limit).item()

    @torch.no_grad()
    def accuracy(self, demonstrations: Transitions) -> float:
        return (self.expert_logits(demonstrations) > 0).float().mean().item()

    def state_tensors(self) -> dict[str, torch.Tensor]:
        """All that changes, as tensors by name."""
        return {**self.network.state_dict(), **moments_of(self.optimizer, "optimizer.")}

    def load_state_tensors(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from `state_tensors`."""
        load_moments(self.optimizer, state, "optimizer.")
        own = {name: value for name, value in state.items() if not name.startswith("optimizer.")}
        self.network.load_state_dict(own)


def shaped(expert_logits: torch.Tensor, form: Form, limit: float) -> torch.Tensor:
    """A reward from logits, see `RewardConfig.form`.

    Args:
        expert_logits: of any shape.
        form: which.
        limit: to either side.
    """
    rewards = {
        "-log(1-D)": functional.softplus(expert_logits),
        "log D": functional.logsigmoid(expert_logits),
        "logit": expert_logits,
    }[form]
    return rewards.clamp(-limit, limit)
