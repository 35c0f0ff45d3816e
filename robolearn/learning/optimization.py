"""Steps of an optimiser, and what it remembers between them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn


def moments_of(optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, torch.Tensor]:
    """What an optimiser remembers."""
    return {
        f"{prefix}{index}.{name}": value
        for index, moments in optimizer.state_dict()["state"].items()
        for name, value in moments.items()
    }


def load_moments(
    optimizer: torch.optim.Optimizer, state: Mapping[str, torch.Tensor], prefix: str
) -> None:
    """Remember what `moments_of` gave."""
    held: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in state.items():
        if name.startswith(prefix):
            index, _, moment = name.removeprefix(prefix).partition(".")
            held.setdefault(int(index), {})[moment] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": held})


def take_step(
    optimizer: torch.optim.Optimizer, rate: float, loss: torch.Tensor, norm: float = 1.0
) -> bool:
    """One step, unless the gradient is not finite.

    Args:
        optimizer: of the parameters.
        rate: its learning rate.
        loss: to be less.
        norm: to which a longer gradient is scaled down.

    Returns:
        Whether it was taken.
    """
    optimizer.zero_grad()
    loss.backward()
    (group,) = optimizer.param_groups
    length = nn.utils.clip_grad_norm_(group["params"], norm)
    if not length.isfinite():
        return False
    group["lr"] = rate
    optimizer.step()
    return True
