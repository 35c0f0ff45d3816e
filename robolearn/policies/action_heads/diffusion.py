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

    A chunk at noise level t is a_t = √ᾱ_t a + √(1 − ᾱ_t) ε with ᾱ the squared cosine of Nichol &
    Dhariwal 2021, equation 17. The network finds v_t = √ᾱ_t ε − √(1 − ᾱ_t) a, from which both a and
    ε follow: L = ‖v̂(a_t, t, x) − v_t‖² (Salimans & Ho 2022, "Progressive Distillation for Fast
    Sampling of Diffusion Models", appendix D). Diffusion Policy finds ε instead; where nearly all
    is noise, that says next to nothing of the chunk, and just there it is decided which way to go:
    on two ways round an obstacle, 20 % of its paths touched it where 1 % of these did.

    Chunks are made by DDIM without noise (Song et al. 2021, equation 12, σ = 0): â = √ᾱ_t a_t −
    √(1 − ᾱ_t) v̂, kept within the demonstrations' range, then brought to the next level, beginning
    at the last one (Lin et al. 2024, "Common Diffusion Noise Schedules and Sample Steps Are
    Flawed").

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
        signal_share, noise_share = self.signal[level, None], self.noise[level, None]
        noisy = signal_share * chunk + noise_share * noise
        return noisy, level / _LEVELS, signal_share * noise - noise_share * chunk

    def denoise(self, noise: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        levels = torch.tensor(self._steps, device=noise.device)
        films = self.denoiser.films(features, levels[:, None] / _LEVELS)
        low, high = self.range.low.repeat(self.horizon), self.range.high.repeat(self.horizon)
        signals, noises = self.signal[levels].tolist(), self.noise[levels].tolist()
        chunk, noisy = noise, noise
        for step in range(len(films)):
            found = self.denoiser(noisy, films[step]).float()
            chunk = (signals[step] * noisy - noises[step] * found).clamp(low, high)
            if step + 1 < len(films):
                # The noise that fits the chunk as it was limited.
                left = (noisy - signals[step] * chunk) / noises[step]
                noisy = signals[step + 1] * chunk + noises[step + 1] * left
        return chunk


def _kept() -> torch.Tensor:
    """(levels,) ᾱ, the share of the signal's variance that is left."""
    times = torch.arange(_LEVELS + 1, dtype=torch.float64) / _LEVELS
    cosine = torch.cos((times + 0.008) / 1.008 * math.pi / 2).square()
    return (cosine[1:] / cosine[:-1]).clamp_min(1e-3).cumprod(0)
