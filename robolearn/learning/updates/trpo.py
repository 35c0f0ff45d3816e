"""The largest step that changes the policy by no more than so much."""

from __future__ import annotations

import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from robolearn.learning.updates.base import Practice, log_probs
from robolearn.learning.updates.conjugate_gradient import conjugate_gradient
from robolearn.learning.updates.divergence import divergence
from robolearn.learning.updates.fisher import FisherProduct
from robolearn.learning.updates.on_policy import Judged, OnPolicy


class Trpo(OnPolicy):
    """Trust region policy optimisation (Schulman et al. 2015, "Trust Region Policy Optimization",
    equation 14 and appendix C).

    Maximises E ρ Â − the cloning term, ρ = π(a|s) / π_old(a|s), along x = F⁻¹ g, with a step of
    √(2δ / xᵀFx), halved until the mean Kullback-Leibler divergence is at most δ and E ρ Â has
    become more. Where that never is, the policy stays as it was.
    """

    def step(
        self, judged: Judged, practice: Practice, generator: torch.Generator
    ) -> dict[str, float]:
        config = self.config.trpo
        limit = self.rate**2 * config.divergence  # the length of a step goes with its root
        parameters = [each for each in self.policy.parameters() if each.requires_grad]
        now = log_probs(self.policy, judged.transitions)
        gain = (now * judged.advantages).mean() - practice.cloning_weight * practice.cloning()
        gradient = torch.autograd.grad(gain, parameters, retain_graph=True, materialize_grads=True)
        uphill = parameters_to_vector(gradient)
        fisher = FisherProduct(now, parameters, config.damping)
        direction = conjugate_gradient(fisher, uphill, config.products)
        curvature = direction @ fisher(direction)
        if not (uphill.isfinite().all() and curvature.isfinite() and curvature > 0):
            return {"steps_rejected": 1.0, "step_length": 0.0}
        longest = (2 * limit / curvature).sqrt() * direction
        before = parameters_to_vector(parameters).detach()
        with torch.no_grad():
            for halving in range(config.halvings):
                share = 0.5**halving
                vector_to_parameters(before + share * longest, parameters)
                change = judged.change(self.policy)
                better = (change.exp() * judged.advantages).mean() > judged.advantages.mean()
                if better and divergence(change) <= limit:
                    return {"steps_rejected": 0.0, "step_length": share}
            vector_to_parameters(before, parameters)
        return {"steps_rejected": 1.0, "step_length": 0.0}
