"""How far a policy has gone from what it was, told from what it did before."""

from __future__ import annotations

import torch


def divergence(change: torch.Tensor) -> torch.Tensor:
    """Mean Kullback-Leibler divergence of the new policy from the old, KL(old ‖ new), in nats.

    Estimated by −E log ρ, which counts what is far out by its logarithm. E (ρ − 1 − log ρ)
    (Schulman 2020, "Approximating KL Divergence") varies less near the old policy, but counts it
    by ρ: of thousands of actions of a mixture a single one that has become e⁶ times as likely
    would halve every step.

    Args:
        change: (N,) log ρ of what the old policy did, ρ = π(a|s) / π_old(a|s).
    """
    return -change.mean()


def least_divergence(change: torch.Tensor) -> torch.Tensor:
    """The least divergence, in nats, that a policy can have which differs as much: 2 TV² ≤ KL
    (Pinsker), of the total variation TV = E max(0, 1 − ρ).

    No action counts for more than 1 in it, however narrow a Gaussian has moved away from it.

    Args:
        change: as of `divergence`.
    """
    return 2 * (1 - change.exp()).clamp_min(0.0).mean().square()
