"""A latent variable decides which way to go."""

from __future__ import annotations

import math

import torch
from torch import nn

from robolearn.policies.action_heads.base import ActionDistribution, ActionHead
from robolearn.policies.action_heads.config import VaeConfig
from robolearn.policies.action_heads.densities import normal_like, normal_log_density
from robolearn.policies.action_heads.padding import hold_last, mean_over_steps, sum_of_steps

_CANDIDATES = 32
"""Latents among which `Vae.mode` chooses."""

_LOG_SCALES = (-7.0, 3.0)
"""Least and greatest logarithm of a latent's deviation: beyond them, gradients are no use."""


class Vae(ActionDistribution):
    """p(a) = ∫ p(z | x) N(a; decoder(x, z), scale²) dz.

    Args:
        head: that it came from.
        features: (B, W).
    """

    def __init__(self, head: VaeHead, features: torch.Tensor) -> None:
        self._head = head
        self._features = features

    @torch.no_grad()
    def sample(
        self, generator: torch.Generator | None = None, *, low_noise: bool = False
    ) -> torch.Tensor:
        """(B, H, A): what a drawn latent decodes to, with low noise without noise about it."""
        mean, scale = self._head.prior(self._features)
        latent = mean + scale * normal_like(mean, generator)
        chunk = self._head.decode(self._features, latent)
        return chunk if low_noise else chunk + self._head.scale * normal_like(chunk, generator)

    @torch.no_grad()
    def mode(self) -> torch.Tensor:
        """(B, H, A): of what 32 fixed latents decode to, that of the greatest density.

        The density is estimated by the same 32: p(a) ≈ 1/32 Σ_j N(a; decoder(x, z_j), scale²). The
        prior's mean, which is often decoded instead, may lie between two ways.
        """
        mean, scale = self._head.prior(self._features)
        latents = mean[:, None] + scale[:, None] * self._head.candidates
        features = self._features[:, None].expand(-1, _CANDIDATES, -1)
        chunks = self._head.decode(features, latents)
        flat = chunks.flatten(2) / self._head.scale
        squares = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist").square()
        best = torch.logsumexp(-0.5 * squares, -1).argmax(-1)
        return chunks[torch.arange(len(best), device=best.device), best]


class VaeHead(ActionHead):
    """A conditional variational autoencoder (Kingma & Welling 2014; Sohn et al. 2015, equation 4).

    −log p(a) ≤ L = −E log 1/K Σ_k N(a; decoder(x, z_k), scale²) (p(z_k) / q(z_k | x, a))^β, with K
    draws z_k from the encoder's Gaussian q (Burda et al. 2016, "Importance Weighted Autoencoders",
    equation 8), β as Higgins et al. 2017, and p(z) = N(0, 1) or Gaussian and learnt from x. K = 1
    is the usual bound, reconstruction + β KL(q ‖ p), with which ACT (Zhao et al. 2023) trains its
    chunks. It punishes each draw that goes another way than the demonstration, so that q of each
    way shrinks away from the others' and leaves latents between them that decode to no way at all.

    Args:
        width: W, of the feature vector.
        horizon: H.
        size: A.
        config: latent, network and weights.

    Attributes:
        scale: standard deviation about what is decoded.
        candidates: (32, Z) draws from N(0, 1), always the same.
    """

    has_density = False
    candidates: torch.Tensor

    def __init__(self, width: int, horizon: int, size: int, config: VaeConfig) -> None:
        super().__init__(horizon, size)
        self.scale = config.scale
        self._beta = config.beta
        self._draws = config.draws
        elements, latent = horizon * size, config.latent
        self.encoder = _mlp(width + elements, config.hidden, 2 * latent)
        self.decoder = _mlp(width + latent, config.hidden, elements)
        self.learnt_prior = nn.Linear(width, 2 * latent) if config.learnt_prior else None
        candidates = torch.randn(_CANDIDATES, latent, generator=torch.Generator().manual_seed(0))
        self.register_buffer("candidates", candidates)

    def distribution(self, features: torch.Tensor) -> Vae:
        return Vae(self, features)

    def losses(
        self,
        features: torch.Tensor,
        actions: torch.Tensor,
        is_pad: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> dict[str, torch.Tensor]:
        """As `ActionHead.losses`, with ``reconstruction`` and ``kl``, means over the draws.

        The encoder is shown the last action held where there is padding.
        """
        prior = self.prior(features)
        held = hold_last(actions, is_pad)
        mean, scale = _moments(self.encoder(torch.cat([features, held.flatten(1)], -1)))
        draws = (self._draws, *mean.shape)
        latent = mean + scale * torch.randn(draws, generator=generator, device=mean.device)
        chunk = self.decode(features.expand(self._draws, -1, -1), latent)
        log_density = normal_log_density(actions, chunk, chunk.new_tensor(self.scale)).sum(-1)
        log_density = sum_of_steps(log_density, is_pad)
        # Where all is padding, as before an episode's first frame, there is nothing to be learnt.
        surplus = (
            (normal_log_density(latent, mean, scale) - normal_log_density(latent, *prior))
            .sum(-1)
            .masked_fill(is_pad.all(-1), 0)
        )
        bound = torch.logsumexp(log_density - self._beta * surplus, 0) - math.log(self._draws)
        return {
            "action": -mean_over_steps(bound, is_pad),
            "reconstruction": -mean_over_steps(log_density.mean(0), is_pad),
            "kl": mean_over_steps(surplus.mean(0), is_pad),
        }

    def prior(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, W) → mean and standard deviation of the latent, (B, Z) each."""
        if self.learnt_prior is None:
            mean = features.new_zeros(len(features), self.candidates.shape[1])
            return mean, torch.ones_like(mean)
        return _moments(self.learnt_prior(features))

    def decode(self, features: torch.Tensor, latent: torch.Tensor) -> torch.Tensor:
        """(..., W) and (..., Z) → (..., H, A)."""
        return self.as_chunks(self.decoder(torch.cat([features, latent], -1)))


def _moments(raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mean, log_scale = raw.float().chunk(2, -1)
    return mean, log_scale.clamp(*_LOG_SCALES).exp()


def _mlp(size: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(size, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, out),
    )
