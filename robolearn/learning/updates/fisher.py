"""Products with the Fisher information of a policy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.utils import parameters_to_vector


class FisherProduct:
    """v → (F + damping · 1) v with F = 1/N Σ_i ∇ log π(a_i|s_i) ∇ log π(a_i|s_i)ᵀ.

    With actions that the policy itself drew, this is the Fisher information, which is the second
    derivative of the mean Kullback-Leibler divergence (Schulman et al. 2015, "Trust Region Policy
    Optimization", appendix C). It needs nothing of the policy but log-probabilities, and is never
    indefinite. F v = 1/N Jᵀ (J v): J v is the derivative of Jᵀ u by u, which is linear in it.

    Args:
        log_prob: (N,) log-probabilities of actions, with their graph.
        parameters: P numbers in all.
        damping: added to the diagonal.
    """

    def __init__(
        self, log_prob: torch.Tensor, parameters: Sequence[nn.Parameter], damping: float
    ) -> None:
        self._log_prob = log_prob
        self._parameters = list(parameters)
        self._damping = damping
        self._weights = torch.zeros_like(log_prob, requires_grad=True)
        pulled = torch.autograd.grad(
            log_prob, self._parameters, self._weights, create_graph=True, materialize_grads=True
        )
        self._pulled = parameters_to_vector(pulled)

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        """(P,) → (P,)."""
        (pushed,) = torch.autograd.grad(self._pulled @ vector, self._weights, retain_graph=True)
        product = torch.autograd.grad(
            self._log_prob,
            self._parameters,
            pushed / len(pushed),
            retain_graph=True,
            materialize_grads=True,
        )
        return parameters_to_vector(product) + self._damping * vector
