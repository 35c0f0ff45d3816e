"""Noise taken away in steps."""

from __future__ import annotations

import math

import torch

from robolearn.policies.action_heads.config import DiffusionConfig
from robolearn.policies.action_heads.denoising import DenoisingHead
from robolearn.policies.action_heads.densities import normal_like
from robolearn.policies.action_heads.value_range import ValueRange

_LEVELS = 100
"""Of noise that are trained, as in Diffusion Policy."""


class DiffusionHead(DenoisingHead):
    """A denoising diffusion model (Ho et al. 2020) over chunks (Diffusion Policy, Chi et al. 2023).

    A chunk at noise level t is a_t = √ᾱ_t a + √(1 − ᾱ_t) ε, and the network finds ε:
    L = ‖ε̂(a_t, t, x) − ε‖² (Ho et al., equation 14). ᾱ is the squared cosine of Nichol & Dhariwal
    2021, equation 17. Chunks are made by DDIM without noise (Song et al. 2021, equation 12, σ = 0):
    â = (a_t − √(1 − ᾱ_t) ε̂) / √ᾱ_t, kept within the demonstrations' range, then brought to the
    next level, beginning at the last one (Lin et al. 2024, "Common Diffusion Noise Schedules and
    Sample Steps Are Flawed").

    Args:
        width: W, of the feature vector.
        horizon: H.
        size: A.
        config: steps and denoiser.
    """

    signal: torch.Tensor
    noise: torch.Tensor

    def __init__(self, width: int, horizon: int, size: int, config: DiffusionConfig) -> None:
        super().__init__(width, horizon, size, config.width, config.depth)
        self.range = ValueRange(size)
        kept = _kept()
        self.register_buffer("signal", kept.sqrt().float(), persistent=False)
        self.register_buffer("noise", (1 - kept).sqrt().float(), persistent=False)
        self._steps = torch.linspace(_LEVELS - 1, -1, config.steps + 1).round().long()[:-1].tolist()

    def fit(self, actions: torch.Tensor) -> None:
        self.range.fit(actions)

    def corrupt(
        self, chunk: torch.Tensor, generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        level = torch.randint(_LEVELS, (len(chunk),), generator=generator, device=chunk.device)
        noise = normal_like(chunk, generator)
        noisy = self.signal[level, None] * chunk + self.noise[level, None] * noise
        return noisy, level / _LEVELS, noise

    def denoise(self, noise: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        levels = torch.tensor(self._steps, device=noise.device)
        films = self.denoiser.films(features, levels[:, None] / _LEVELS)
        low, high = self.range.low.repeat(self.horizon), self.range.high.repeat(self.horizon)
        signals, noises = self.signal[levels].tolist(), self.noise[levels].tolist()
        chunk, noisy = noise, noise
        for step in range(len(films)):
            found = self.denoiser(noisy, films[step]).float()
            chunk = ((noisy - noises[step] * found) / signals[step]).clamp(low, high)
            if step + 1 < len(films):
                # The noise that fits the chunk as it was limited, not the one that was found.
                left = (noisy - signals[step] * chunk) / noises[step]
                noisy = signals[step + 1] * chunk + noises[step + 1] * left
        return chunk


def _kept() -> torch.Tensor:
    """(levels,) ᾱ, the share of the signal's variance that is left."""
    times = torch.arange(_LEVELS + 1, dtype=torch.float64) / _LEVELS
    cosine = torch.cos((times + 0.008) / 1.008 * math.pi / 2).square()
    return (cosine[1:] / cosine[:-1]).clamp_min(1e-3).cumprod(0)
