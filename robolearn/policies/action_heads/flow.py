"""Noise moved to a chunk along a learnt velocity."""

from __future__ import annotations

import torch

from robolearn.policies.action_heads.config import FlowConfig
from robolearn.policies.action_heads.denoising import DenoisingHead
from robolearn.policies.action_heads.densities import normal_like


class FlowHead(DenoisingHead):
    """Flow matching along straight lines (Lipman et al. 2023; rectified flow, Liu et al. 2023).

    Between noise ε and chunk a, a_t = (1 − t) ε + t a with t drawn evenly from [0, 1], and the
    network finds the velocity: L = ‖v̂(a_t, t, x) − (a − ε)‖² (Liu et al., equation 1). Chunks are
    made by Euler steps of equal length, a_{t+δ} = a_t + δ v̂(a_t, t, x).

    Args:
        width: W, of the feature vector.
        horizon: H.
        size: A.
        config: steps and network.
    """

    def __init__(self, width: int, horizon: int, size: int, config: FlowConfig) -> None:
        super().__init__(width, horizon, size, config.width, config.depth)
        self._steps = config.steps

    def corrupt(
        self, chunk: torch.Tensor, generator: torch.Generator | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        times = torch.rand(len(chunk), generator=generator, device=chunk.device)
        noise = normal_like(chunk, generator)
        return torch.lerp(noise, chunk, times[:, None]), times, chunk - noise

    def denoise(self, noise: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        times = torch.arange(self._steps, device=noise.device)[:, None] / self._steps
        chunk = noise
        for films in self.denoiser.films(features, times):
            chunk = chunk + self.denoiser(chunk, films).float() / self._steps
        return chunk
