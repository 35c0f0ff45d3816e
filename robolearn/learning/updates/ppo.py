"""Several passes over the same rollouts."""

from __future__ import annotations

import torch

from robolearn.learning.optimization import take_step
from robolearn.learning.updates.base import Practice, log_probs
from robolearn.learning.updates.divergence import least_divergence
from robolearn.learning.updates.on_policy import Judged
from robolearn.learning.updates.policy_gradient import PolicyGradient


class Ppo(PolicyGradient):
    """Proximal policy optimisation (Schulman et al. 2017, equation 7).

    L = −E min(ρ Â, clip(ρ, 1 − ε, 1 + ε) Â) + the cloning term, ρ = π(a|s) / π_old(a|s). No further
    pass is made once the policy differs by more than the limit. That is told by `least_divergence`:
    where an episode went astray, the narrow Gaussians of a mixture leave what was done there by
    dozens of nats in two passes, and by the mean of those every third iteration would end so.
    """

    def step(
        self, judged: Judged, practice: Practice, generator: torch.Generator
    ) -> dict[str, float]:
        config = self.config.ppo
        passes, clipped, steps, rejected = 0, 0.0, 0, 0
        moved = 0.0
        while passes < config.passes and moved <= config.divergence:
            passes += 1
            for part in torch.randperm(len(judged.advantages), generator=generator).split(
                config.batch
            ):
                change = log_probs(self.policy, judged.transitions[part]) - judged.log_probs[part]
                ratio, advantages = change.exp(), judged.advantages[part]
                bounded = ratio.clamp(1 - config.clip, 1 + config.clip)
                gain = torch.minimum(ratio * advantages, bounded * advantages).mean()
                loss = practice.cloning_weight * practice.cloning() - gain
                rejected += not take_step(self._adam, self.rate * config.learning_rate, loss)
                clipped += (ratio != bounded).float().mean().item()
                steps += 1
            with torch.no_grad():
                moved = least_divergence(judged.change(self.policy)).item()
        return {
            "passes": float(passes),
            "clipped": clipped / steps,
            "steps_rejected": float(rejected),
        }
