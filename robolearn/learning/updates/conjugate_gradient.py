"""The direction F⁻¹ g without F."""

from __future__ import annotations

from collections.abc import Callable

import torch


def conjugate_gradient(
    product: Callable[[torch.Tensor], torch.Tensor],
    target: torch.Tensor,
    steps: int,
    tolerance: float = 1e-10,
) -> torch.Tensor:
    """Solve F x = b for a positive definite F (Hestenes & Stiefel 1952; Nocedal & Wright 2006,
    algorithm 5.2).

    Args:
        product: x → F x, for (P,).
        target: b, (P,).
        steps: at most.
        tolerance: of ‖F x − b‖² at which it is done.

    Returns:
        x, (P,).
    """
    solution = torch.zeros_like(target)
    residual, direction = target.clone(), target.clone()
    squared = residual @ residual
    for _ in range(steps):
        if squared <= tolerance:
            break
        turned = product(direction)
        length = squared / (direction @ turned)
        solution += length * direction
        residual -= length * turned
        before, squared = squared, residual @ residual
        direction = residual + squared / before * direction
    return solution
