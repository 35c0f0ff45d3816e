"""What a policy did before, and how it learns not to rely on it."""

from __future__ import annotations

import torch
from torch import nn


class PastActions(nn.Module):
    """Past actions with a flag each: known, or not.

    In demonstrations the action is most often nearly the last one, so that a network that sees the
    last action learns to repeat it, and misses the moment at which the observation asks for another
    (de Haan et al. 2019, "Causal Confusion in Imitation Learning"). As a remedy, the whole past of
    some samples is hidden while training (Bansal et al. 2018, "ChauffeurNet", section IV.B, who
    hide the past motion): there the network has to look.

    What is hidden, what lies before the episode's beginning, and what is not given is zero, with a
    flag of 0. Draws from torch's own generator, as dropout does.

    Args:
        actions: A, elements of an action.
        count: P.
        dropout: share of the samples whose past is hidden while training.
    """

    def __init__(self, actions: int, count: int, dropout: float) -> None:
        super().__init__()
        self._actions = actions
        self._count = count
        self._dropout = dropout

    def forward(
        self, values: torch.Tensor | None, is_pad: torch.Tensor | None, frames: torch.Tensor
    ) -> torch.Tensor:
        """Put the flags in.

        Args:
            values: (B, P, A) normalised; None hides them all.
            is_pad: (B, P) bool, lies before the episode's beginning; None means that none does.
            frames: (B, K, W) of the same samples.

        Returns:
            (B, P, A + 1): actions, then the flag.

        Raises:
            ValueError: the actions are of another number or size.
        """
        batch = len(frames)
        shape = (self._count, self._actions)
        if values is None:
            return frames.new_zeros(batch, self._count, self._actions + 1)
        if values.shape[1:] != shape:
            raise ValueError(f"past actions are of shape {tuple(values.shape[1:])}, not {shape}")
        known = values.new_ones(batch, self._count, 1)
        if is_pad is not None:
            known = known.masked_fill(is_pad.unsqueeze(-1), 0.0)
        if self.training and self._dropout:
            hidden = torch.rand(batch, 1, 1, device=values.device) < self._dropout
            known = known.masked_fill(hidden, 0.0)
        return torch.cat([values * known, known], dim=-1)
