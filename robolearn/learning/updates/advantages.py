"""How much better an action was than what is expected."""

from __future__ import annotations

import torch


def generalized_advantages(
    rewards: torch.Tensor,
    values: torch.Tensor,
    bootstrap: torch.Tensor,
    lengths: torch.Tensor,
    discount: float,
    trace: float,
) -> torch.Tensor:
    """Generalised advantage estimation (Schulman et al. 2016, equation 16).

    Â_t = Σ_l (γλ)^l δ_{t+l}, δ_t = r_t + γ V(s_{t+1}) − V(s_t), with the bootstrap for V after the
    last step. λ = 1 gives the return less the value, which is REINFORCE with a baseline.

    Args:
        rewards: (N, T).
        values: (N, T) of the states before each step.
        bootstrap: (N,) value of what follows the last step.
        lengths: (N,) steps of each episode, 1 to T; what is beyond them does not count.
        discount: γ.
        trace: λ.

    Returns:
        (N, T), zero beyond the lengths.
    """
    advantages = torch.zeros_like(rewards)
    following = torch.zeros_like(bootstrap)
    after = torch.zeros_like(bootstrap)
    for step in range(rewards.shape[1] - 1, -1, -1):
        is_last, counts = lengths == step + 1, step < lengths
        after = torch.where(is_last, bootstrap, after)
        error = rewards[:, step] + discount * after - values[:, step]
        following = torch.where(counts, error + discount * trace * following, 0.0)
        advantages[:, step] = following
        after = torch.where(counts, values[:, step], after)
    return advantages
