"""An actor and its critics, from everything that was ever tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch

from robolearn.learning.finetuning.trajectories import Trajectories, Transitions
from robolearn.learning.optimization import load_moments, moments_of, take_step
from robolearn.learning.rewards.base import DemonstrationReward
from robolearn.learning.updates.base import PolicyUpdate, Practice
from robolearn.learning.updates.config import UpdateConfig
from robolearn.learning.updates.critics import CriticInputs, Critics, Encoded
from robolearn.policies.distribution import PolicyDistribution
from robolearn.policies.policy import Policy

_AHEAD = 16
"""Batches that are made at once."""

_UNLIKELY = 1e-3
"""Beside the likeliest of the alternatives."""


class Lesson(NamedTuple):
    """A batch of B transitions as networks see them.

    Attributes:
        before: s.
        after: s'.
        actions: (B, A) as critics see them.
        rewards: (B,).
        terminated: (B,) bool.
    """

    before: Encoded
    after: Encoded
    actions: torch.Tensor
    rewards: torch.Tensor
    terminated: torch.Tensor


class OffPolicy(PolicyUpdate):
    """Discriminator-actor-critic (Kostrikov et al. 2019): a replay buffer that holds the
    demonstrations and all rollouts, half of each batch from either (Ball et al. 2023, section 4.1),
    with the reward as it now is.

    Critics: L = Σ_i (Q_i(s, a) − r − γ min_j Q'_j(s', a'))², a' drawn from the policy with low
    noise. What follows the end of a task is worth r_absorbing / (1 − γ).

    Actor: L = −E Q(s, a) / mean |Q| + the cloning term (Fujimoto & Gu 2021, "A Minimalist Approach
    to Offline Reinforcement Learning", equation 3). The mean over what an arm may do is as the head
    gives it (`ActionDistribution.alternatives`), and that over open and closed grippers is exact.

    Args:
        policy: that is improved, in place.
        inputs: what critics see of a situation.
        demonstrations: of the expert.
        replay: where all rollouts are.
        config: of the method.
    """

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
        self._updates = 0

    def choose(self, distribution: PolicyDistribution, generator: torch.Generator) -> torch.Tensor:
        """What it would do with low noise, and exploration about that."""
        action = distribution.sample(generator, low_noise=True)
        return action + self._noise * torch.randn(action.shape, generator=generator)

    def improve(self, practice: Practice, generator: torch.Generator) -> dict[str, float]:
        sums = {"critic_loss": 0.0, "value": 0.0, "steps_rejected": 0.0}
        count = max(round(self._config.updates * int(practice.rollouts.real_lengths.sum())), 1)
        over = practice.reward.of_absorbing / (1 - self._discount)
        actor_steps = 0
        for lesson in self._lessons(count, practice.reward, generator):
            sums["critic_loss"] += self._improve_critics(lesson, over, generator)
            self._updates += 1
            if not practice.policy_stays and self._updates % self._config.actor_every == 0:
                value, taken = self._improve_actor(
                    lesson.before.some(slice(None, None, 2)), practice, generator
                )
                actor_steps += 1
                sums["value"] += value
                sums["steps_rejected"] += not taken
        return {
            "critic_loss": sums["critic_loss"] / count,
            "value": sums["value"] / max(actor_steps, 1),
            "steps_rejected": sums["steps_rejected"],
        }

    def _lessons(
        self, count: int, reward: DemonstrationReward, generator: torch.Generator
    ) -> Iterator[Lesson]:
        """So many batches. As long as what is seen of them does not change, several are made at
        once: the calls cost more than the arithmetic.
        """
        ahead = 1 if self._inputs.learns else _AHEAD
        half = self._config.batch // 2
        for first in range(0, count, ahead):
            batches = min(ahead, count - first)
            parts = [
                self._tensors(source.sample(batches * half, generator), reward)
                for source in (self._demonstrations, self._replay)
            ]
            mixed = [
                torch.cat([one.unflatten(0, (batches, half)) for one in both], 1)
                for both in zip(*parts, strict=True)
            ]
            for rows in zip(*mixed, strict=True):
                yield Lesson(Encoded(*rows[:5]), Encoded(*rows[5:10]), *rows[10:])

    def _tensors(
        self, transitions: Transitions, reward: DemonstrationReward
    ) -> tuple[torch.Tensor, ...]:
        """What a `Lesson` is made of, in its order."""
        before = self._inputs.encode(transitions.before)
        with torch.no_grad():
            after = self._inputs.encode(transitions.after)
            actions, rewards = self._seen(transitions.actions), reward.reward(transitions)
        return *before, *after, actions, rewards, transitions.terminated

    def _improve_critics(self, lesson: Lesson, over: float, generator: torch.Generator) -> float:
        with torch.no_grad():
            then = self._followed(self._decide(lesson.after), generator)
            following = self.critics.pessimistic(lesson.after.for_critics, self._seen(then))
            following = torch.where(lesson.terminated, over, following)
            targets = lesson.rewards + self._discount * following
        found = self.critics(lesson.before.for_critics, lesson.actions)
        loss: torch.Tensor = (found - targets).square().mean()
        take_step(self._critic_adam, self._config.critic_rate, loss, norm=100.0)
        self.critics.follow()
        return loss.item()

    def _decide(self, of: Encoded) -> PolicyDistribution:
        has_past = self.policy.config.memory.past_actions > 0
        return self.policy.decide(
            of.frames,
            of.past if has_past else None,
            of.frame_is_pad,
            of.past_is_pad if has_past else None,
        )

    def _followed(
        self, distribution: PolicyDistribution, generator: torch.Generator
    ) -> torch.Tensor:
        """(B, A) drawn with low noise for the arm, and as it stands for the gripper."""
        arm = distribution.arm.sample(generator, low_noise=True)
        closed = distribution.gripper.sample(generator)
        units = self.policy.units
        joined: torch.Tensor = units.joined(units.arm_in_units(arm), closed)
        return joined[:, 0]

    def _improve_actor(
        self, situations: Encoded, practice: Practice, generator: torch.Generator
    ) -> tuple[float, bool]:
        values = self._value(situations, generator)
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
            "updates": torch.tensor(self._updates),
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
        self._updates = int(state["updates"])
