"""Images as training varies them: another crop, other light."""

from __future__ import annotations

import torch
from torch import nn

from robolearn.policies.encoders.config import CameraConfig

_LUMA = (0.299, 0.587, 0.114)
"""Grey of red, green and blue (ITU-R BT.601)."""


class Crop(nn.Module):
    """Cuts out a part: while training at a random place, otherwise in the middle.

    All frames of a window are cut at the same place, so that what stands still does so in them.
    Draws from torch's own generator, as dropout does.

    Args:
        share: of height and width that is left.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self._share = share

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, K, H, W, C) → (B, K, h, w, C)."""
        windows, _, height, width, _ = images.shape
        rows, columns = self.size(height), self.size(width)
        if (rows, columns) == (height, width):
            return images
        if not self.training:
            top, left = (height - rows) // 2, (width - columns) // 2
            return images[:, :, top : top + rows, left : left + columns]
        tops = torch.randint(height - rows + 1, (windows,), device=images.device)
        lefts = torch.randint(width - columns + 1, (windows,), device=images.device)
        everywhere = images.unfold(2, rows, 1).unfold(
            3, columns, 1
        )  # (B, K, y, x, C, h, w), a view
        cut = everywhere[torch.arange(windows, device=images.device), :, tops, lefts]
        return cut.permute(0, 1, 3, 4, 2)

    def size(self, whole: int) -> int:
        """What is left of a height or width."""
        return max(round(self._share * whole), 1)


class ColourJitter(nn.Module):
    """Multiplies brightness, contrast and saturation by random factors, while training only.

    The factors of a window hold for all its frames. Draws from torch's own generator.

    Args:
        config: how strongly.
    """

    _luma: torch.Tensor

    def __init__(self, config: CameraConfig) -> None:
        super().__init__()
        self._brightness = config.brightness
        self._contrast = config.contrast
        self._saturation = config.saturation
        self.register_buffer("_luma", torch.tensor(_LUMA).view(3, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor, frames: int) -> torch.Tensor:
        """Jitter.

        Args:
            images: (B·K, C, H, W) in [0, 1]; without three channels there is no saturation.
            frames: K.

        Returns:
            (B·K, C, H, W) in [0, 1].
        """
        if not self.training:
            return images
        if self._brightness:
            images = (images * _factors(images, self._brightness, frames)).clamp(0, 1)
        if self._contrast:
            mean = self._grey(images).mean((1, 2, 3), keepdim=True)
            factors = _factors(images, self._contrast, frames)
            images = torch.lerp(mean, images, factors).clamp(0, 1)
        if self._saturation and images.shape[1] == 3:
            factors = _factors(images, self._saturation, frames)
            images = torch.lerp(self._grey(images), images, factors).clamp(0, 1)
        return images

    def _grey(self, images: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) → (N, 1, H, W)."""
        if images.shape[1] != 3:
            return images.mean(1, keepdim=True)
        return (images * self._luma).sum(1, keepdim=True)


def _factors(images: torch.Tensor, strength: float, frames: int) -> torch.Tensor:
    """(B·K, 1, 1, 1), one draw a window."""
    drawn = torch.empty(len(images) // frames, 1, device=images.device)
    drawn.uniform_(1 - strength, 1 + strength)
    return drawn.expand(-1, frames).reshape(-1, 1, 1, 1)
