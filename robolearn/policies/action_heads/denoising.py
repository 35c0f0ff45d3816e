"""What diffusion and flow matching share: a network that sees a noisy chunk and how noisy it is."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import nn
from torch.nn import functional

from robolearn.policies.action_heads.base import ActionDistribution, ActionHead
from robolearn.policies.action_heads.densities import normal_like
from robolearn.policies.action_heads.padding import hold_last, mean_over_steps, sum_of_steps

_FREQUENCIES = 32
"""Pairs of sine and cosine in which the time is shown."""

_CONDITION = 128
"""Width of what the FiLM layers are computed from. As wide as blocks of 512, it learns no better
and takes nearly half of a training step's time."""


class Denoised(ActionDistribution):
    """What noise is turned into, step by step.

    Args:
        head: that it came from.
        features: (B, W).
    """

    def __init__(self, head: DenoisingHead, features: torch.Tensor) -> None:
        self._head = head
        self._features = features

    def sample(
        self, generator: torch.Generator | None = None, *, low_noise: bool = False
    ) -> torch.Tensor:
        """(B, H, A) from Gaussian noise; there is no other noise to be left out."""
        return self._denoise(normal_like(self._zeros, generator))

    def mode(self) -> torch.Tensor:
        """(B, H, A): what one fixed noise of the usual length turns into.

        It is a chunk like any other, not the likeliest, but always the same. From zeros, the
        middle of the noise, the way may lead between two modes.
        """
        return self._denoise(self._zeros + self._head.usual_noise)

    @torch.no_grad()
    def _denoise(self, noise: torch.Tensor) -> torch.Tensor:
        return self._head.as_chunks(self._head.denoise(noise, self._features))

    @property
    def _zeros(self) -> torch.Tensor:
        elements = self._head.horizon * self._head.size
        return torch.zeros(len(self._features), elements, device=self._features.device)


class DenoisingHead(ActionHead):
    """A head that learns to tell something of the noise in a noisy chunk.

    L = mean over the elements of (denoiser(noisy chunk, time, x) − target)². What is padding is
    taken as the last action held, and its error does not count.

    Args:
        width: W, of the feature vector.
        horizon: H.
        size: A.
        hidden: width of the denoiser.
        depth: its blocks.

    Attributes:
        usual_noise: (D,), always the same; of the length √D, as nearly all noise is.
    """

    has_density = False
    acts_by = "low-noise"  # its mode is a chunk like any other, but always from the same noise
    usual_noise: torch.Tensor

    def __init__(self, width: int, horizon: int, size: int, hidden: int, depth: int) -> None:
        super().__init__(horizon, size)
        elements = horizon * size
        self.denoiser = Denoiser(width, elements, hidden, depth)
        noise = torch.randn(elements, generator=torch.Generator().manual_seed(0))
        self.register_buffer("usual_noise", noise * (math.sqrt(elements) / noise.norm()))

    @abstractmethod
    def corrupt(
        self, chunk: torch.Tensor, generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, D) chunks → them with noise (B, D), times (B,) in [0, 1], and targets (B, D)."""

    @abstractmethod
    def denoise(self, noise: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """(B, D) noise and (B, W) → (B, D) chunks."""

    def distribution(self, features: torch.Tensor) -> Denoised:
        return Denoised(self, features)

    def losses(
        self,
        features: torch.Tensor,
        actions: torch.Tensor,
        is_pad: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> dict[str, torch.Tensor]:
        noisy, times, target = self.corrupt(hold_last(actions, is_pad).flatten(1), generator)
        found = self.denoiser(noisy, self.denoiser.films(features, times)).float()
        errors = self.as_chunks((found - target).square()).mean(-1)
        return {"action": mean_over_steps(sum_of_steps(errors, is_pad), is_pad)}


class Denoiser(nn.Module):
    """An MLP of residual blocks with FiLM (Perez et al. 2018, equation 1).

    Each block is y + W₂ SiLU(W₁ (γ · norm(y) + β)), where γ and β follow from time and features.
    Blocks are zero at first, as in DiT (Peebles & Xie 2023, section 3.2).

    Args:
        width: W.
        size: D, elements of a chunk.
        hidden: width of the layers.
        depth: residual blocks.
    """

    frequencies: torch.Tensor

    def __init__(self, width: int, size: int, hidden: int, depth: int) -> None:
        super().__init__()
        frequencies = torch.logspace(0, 2, _FREQUENCIES)  # radians over the whole of time
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.time = nn.Sequential(
            nn.Linear(2 * _FREQUENCIES, _CONDITION), nn.SiLU(), nn.Linear(_CONDITION, _CONDITION)
        )
        self.features = nn.Linear(width, _CONDITION)
        self.film = nn.Linear(_CONDITION, 2 * depth * hidden)
        self.first = nn.Linear(size, hidden)
        self.blocks = nn.ModuleList(_block(hidden) for _ in range(depth))
        self.last = nn.Sequential(nn.LayerNorm(hidden), nn.SiLU(), nn.Linear(hidden, size))

    def films(self, features: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """What features and times do to the blocks; computed for all steps at once.

        Args:
            features: (B, W).
            times: in [0, 1]; (B,), or (S, 1) for S times with every feature vector.

        Returns:
            (B, depth, 2, hidden) or (S, B, depth, 2, hidden).
        """
        angles = times[..., None] * self.frequencies
        time = self.time(torch.cat([angles.sin(), angles.cos()], -1))
        films: torch.Tensor = self.film(functional.silu(self.features(features) + time))
        return films.view(*films.shape[:-1], len(self.blocks), 2, -1)

    def forward(self, noisy: torch.Tensor, films: torch.Tensor) -> torch.Tensor:
        """(B, D) and (B, depth, 2, hidden) → (B, D)."""
        hidden = self.first(noisy)
        for index, block in enumerate(self.blocks):
            gain, shift = films[:, index].unbind(1)
            normed = functional.layer_norm(hidden, hidden.shape[-1:])
            hidden = hidden + block(torch.addcmul(shift, normed, 1 + gain))
        out: torch.Tensor = self.last(hidden)
        return out


def _block(hidden: int) -> nn.Sequential:
    last = nn.Linear(hidden, hidden)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), last)
