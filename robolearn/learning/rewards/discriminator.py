"""A network that tells what demonstrations do from what the policy does."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional

from robolearn.learning.rewards.config import DiscriminatorConfig


class Discriminator(nn.Module):
    """(B, D) → (B,) logits, high for the expert: log D − log(1 − D) with D the probability of it.

    Args:
        width: D.
        config: layers and what keeps them smooth.
    """

    def __init__(self, width: int, config: DiscriminatorConfig) -> None:
        super().__init__()
        self._noise = config.input_noise
        layers: list[nn.Module] = []
        if config.input_dropout:
            layers.append(nn.Dropout(config.input_dropout))
        sizes = (width, *config.hidden)
        for before, after in itertools.pairwise(sizes):
            layers += [_spectral(nn.Linear(before, after), config.spectral_norm), nn.Tanh()]
            if config.dropout:
                layers.append(nn.Dropout(config.dropout))
        layers.append(_spectral(nn.Linear(sizes[-1], 1), config.spectral_norm))
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(B, D) → (B,) expert logits."""
        if self.training and self._noise:
            inputs = inputs + self._noise * torch.randn_like(inputs)
        logits: torch.Tensor = self.layers(inputs)[:, 0]
        return logits


def _spectral(layer: nn.Linear, wanted: bool) -> nn.Module:
    return nn.utils.parametrizations.spectral_norm(layer) if wanted else layer


def gradient_penalty(
    discriminator: nn.Module, expert: torch.Tensor, policy: torch.Tensor
) -> torch.Tensor:
    """E (‖∇_x logit(x)‖ − 1)² at points between (Gulrajani et al. 2017, equation 3).

    Args:
        discriminator: of the logit.
        expert: (B, D).
        policy: (B, D).
    """
    share = torch.rand(len(expert), 1)
    between = torch.lerp(expert, policy, share).requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(between).sum(), between, create_graph=True)
    penalty: torch.Tensor = (slope.norm(dim=-1) - 1).square().mean()
    return penalty


def logit_entropy(logits: torch.Tensor) -> torch.Tensor:
    """Mean entropy of the Bernoullis with these logits, nats."""
    return functional.binary_cross_entropy_with_logits(logits, logits.sigmoid())
