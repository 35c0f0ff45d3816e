"""An actor and its critics, from everything that was ever tried."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from robolearn.learning.finetuning.trajectories import Trajectories, Transitions
from robolearn.learning.optimization import load_moments, moments_of, take_step
from robolearn.learning.rewards.base import DemonstrationReward
from robolearn.learning.updates.base import PolicyUpdate, Practice
from robolearn.learning.updates.config import UpdateConfig
from robolearn.learning.updates.critics import CriticInputs, Critics, Encoded
from robolearn.policies.distribution import PolicyDistribution
from robolearn.policies.policy import Policy

_UNLIKELY = 1e-3
"""Beside the likeliest of the alternatives."""


type Lesson = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""A batch of B transitions for critics: situations (B, C), actions (B, A) and targets (B,)."""


class OffPolicy(PolicyUpdate):
    """Discriminator-actor-critic (Kostrikov et al. 2019): a replay buffer that holds the
    demonstrations and all rollouts, half of each batch from either (Ball et al. 2023, section 4.1),
    with the reward as it now is.

    Critics: L = Σ_i (Q_i(s, a) − r − γ/2 Σ_j Q'_j(s', a'))², a' drawn with low noise for the arm,
    and for the gripper by its probability: rollouts take it as is more probable, but of a policy
    that may yet do either it is both that the actor's gradient compares. What follows the end of a
    task is worth r_absorbing / (1 − γ). Several such steps come before each of the actor and of Q',
    so that it follows values that are known (Fujimoto et al. 2018, section 5.2).

    Actor: L = −E Q(s, a) / mean |Q| over rollouts + the cloning term over demonstrations (Fujimoto
    & Gu 2021, "A Minimalist Approach to Offline Reinforcement Learning", equation 3). The mean over
    what an arm may do is as the head gives it (`ActionDistribution.alternatives`), and that over
    open and closed grippers is exact.

    Args:
        policy: that is improved, in place.
        inputs: what critics see of a situation.
        demonstrations: of the expert.
        replay: where all rollouts are.
        config: of the method.
    """

    learns_from_others = True

    def __init__(
        self,
        policy: Policy,
        inputs: CriticInputs,
        demonstrations: Trajectories,
        replay: Trajectories,
        config: UpdateConfig,
    ) -> None:
        super().__init__(policy)
        self._inputs = inputs
        self._demonstrations = demonstrations
        self._replay = replay
        self._discount = config.discount
        self._config = of = config.off_policy
        action = policy.schema.action
        self._low, self._high = torch.tensor(action.low), torch.tensor(action.high)
        self._noise = torch.full((len(action.low),), of.exploration)
        self._noise[list(action.gripper)] = 0.0
        self.critics = Critics(inputs.width + len(action.low), of.hidden, of.follow)
        self._critic_adam = torch.optim.Adam(self.critics.online.parameters(), fused=True)
        self._actor_adam = torch.optim.Adam(policy.parameters(), fused=True)

    def choose(self, distribution: PolicyDistribution, generator: torch.Generator) -> torch.Tensor:
        """What it would do with low noise, and exploration about that."""
        action = distribution.sample(generator, low_noise=True)
        return action + self._noise * torch.randn(action.shape, generator=generator)

    def improve(self, practice: Practice, generator: torch.Generator) -> dict[str, float]:
        sums = {"critic_loss": 0.0, "steps_rejected": 0.0}
        if not practice.policy_stays:
            sums["value"] = 0.0
        of = self._config
        steps = of.updates * int(practice.rollouts.real_lengths.sum())
        rounds = max(round(steps / of.actor_every), 1)
        for _ in range(rounds):
            for lesson in self._lessons(practice.reward, generator):
                loss, taken = self._improve_critics(*lesson)
                sums["critic_loss"] += loss
                sums["steps_rejected"] += not taken
            self.critics.follow()
            if not practice.policy_stays:
                value, taken = self._improve_actor(practice, generator)
                sums["value"] += value
                sums["steps_rejected"] += not taken
        sums["critic_loss"] /= of.actor_every
        return {
            name: total if name == "steps_rejected" else total / rounds
            for name, total in sums.items()
        }

    @torch.no_grad()
    def _lessons(self, reward: DemonstrationReward, generator: torch.Generator) -> list[Lesson]:
        """The batches up to the next step of the actor, made at once: the calls cost more than the
        arithmetic.
        """
        count, half = self._config.actor_every, self._config.batch // 2
        drawn = Transitions.joined(
            [
                source.sample(count * half, generator)
                for source in (self._demonstrations, self._replay)
            ]
        )
        after = self._inputs.encode(drawn.after)
        then = self._seen(self._followed(self._decide(after), generator))
        following = self.critics.following(after.for_critics, then)
        over = reward.of_absorbing / (1 - self._discount)
        following = torch.where(drawn.terminated, over, following)
        targets = reward.reward(drawn) + self._discount * following
        rows = self._inputs(drawn.before), self._seen(drawn.actions), targets
        mixed = (each.unflatten(0, (2, count, half)).transpose(0, 1).flatten(1, 2) for each in rows)
        return list(zip(*mixed, strict=True))

    def _improve_critics(
        self, situations: torch.Tensor, actions: torch.Tensor, targets: torch.Tensor
    ) -> tuple[float, bool]:
        loss: torch.Tensor = (self.critics(situations, actions) - targets).square().mean()
        taken = take_step(self._critic_adam, self._config.critic_rate, loss, norm=100.0)
        return loss.item(), taken

    def _followed(
        self, distribution: PolicyDistribution, generator: torch.Generator
    ) -> torch.Tensor:
        """(B, A) a': drawn with low noise for the arm, and by its probability for the gripper."""
        arm = distribution.arm.sample(generator, low_noise=True)
        closed = distribution.gripper.sample(generator)
        units = self.policy.units
        joined: torch.Tensor = units.joined(units.arm_in_units(arm), closed)
        return joined[:, 0]

    def _improve_actor(self, practice: Practice, generator: torch.Generator) -> tuple[float, bool]:
        drawn = self._replay.sample(self._config.batch // 2, generator)
        values = self._value(self._inputs.encode(drawn.before), generator)
        scale = values.detach().abs().mean().clamp_min(1e-3)
        loss = practice.cloning_weight * practice.cloning() - values.mean() / scale
        taken = take_step(self._actor_adam, self.rate * self._config.actor_rate, loss, norm=10.0)
        return values.mean().item(), taken

    def _value(self, situations: Encoded, generator: torch.Generator) -> torch.Tensor:
        """(B,) of E Q(s, a), with the gradient by the policy. What hardly ever would be done is not
        asked about: it has hardly a share in the gradient.
        """
        actions, weights = self._decide(situations).alternatives(generator)
        likely = weights.detach() > _UNLIKELY * weights.detach().amax(-1, keepdim=True)
        which, _ = at = likely.nonzero(as_tuple=True)
        # Of the critics' weights no gradient is wanted: it takes as long as the rest.
        self.critics.online.requires_grad_(False)
        found = self.critics.online.of_pairs(
            situations.for_critics, which, self._seen(actions[:, :, 0][at])
        ).mean(0)
        self.critics.online.requires_grad_(True)
        weights = weights * likely
        worth = torch.zeros_like(weights).index_put(at, found)
        value: torch.Tensor = (weights * worth).sum(-1) / weights.sum(-1)
        return value

    def _decide(self, situations: Encoded) -> PolicyDistribution:
        return self.policy.decide(
            situations.frames, situations.past, situations.frame_is_pad, situations.past_is_pad
        )

    def _seen(self, actions: torch.Tensor) -> torch.Tensor:
        """(..., A) as they would be sent, and as critics see them."""
        limited = torch.minimum(torch.maximum(actions, self._low), self._high)
        seen: torch.Tensor = self.policy.units.past(limited)
        return seen

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {
            **{f"critics.{name}": value for name, value in self.critics.state_dict().items()},
            **moments_of(self._critic_adam, "critics_optimizer."),
            **moments_of(self._actor_adam, "policy_optimizer."),
        }

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        own = {
            name.removeprefix("critics."): value
            for name, value in state.items()
            if name.startswith("critics.")
        }
        self.critics.load_state_dict(own)
        load_moments(self._critic_adam, state, "critics_optimizer.")
        load_moments(self._actor_adam, state, "policy_optimizer.")
