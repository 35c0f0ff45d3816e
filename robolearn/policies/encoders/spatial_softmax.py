"""Where in an image something is."""

from __future__ import annotations

import torch
from torch import nn


class SpatialSoftmax(nn.Module):
    """Expected position of each channel's activation in the image.

    Each channel's activations a are made weights s_ij = exp(a_ij) / Σ exp(a), and the position is
    (Σ s_ij x_ij, Σ s_ij y_ij) (Levine et al. 2016, "End-to-End Training of Deep Visuomotor
    Policies", section 5.1; Finn et al. 2016, "Deep Spatial Autoencoders", section IV).
    x runs from −1 at the left edge to 1 at the right, y from −1 at the top to 1 at the bottom.

    Args:
        channels: of the maps that come in.
        keypoints: N, into which a 1×1 convolution mixes them.
    """

    def __init__(self, channels: int, keypoints: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(
            channels, keypoints, kernel_size=1, bias=False
        )  # a softmax does not change with it
        self.width = 2 * keypoints

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) → (B, 2 N): x of all keypoints, then y."""
        return expected_positions(self.mix(maps))


def expected_positions(maps: torch.Tensor) -> torch.Tensor:
    """(B, N, H, W) activations → (B, 2 N): x of all N, then y."""
    height, width = maps.shape[-2:]
    weights = maps.flatten(2).softmax(-1).unflatten(-1, (height, width))
    x = weights.sum(2) @ torch.linspace(-1, 1, width, device=maps.device, dtype=maps.dtype)
    y = weights.sum(3) @ torch.linspace(-1, 1, height, device=maps.device, dtype=maps.dtype)
    return torch.cat([x, y], dim=-1)
