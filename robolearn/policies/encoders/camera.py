"""The images of one camera: colour, depth, or both."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from robolearn.errors import ConfigurationError
from robolearn.policies.encoders.augmentation import ColourJitter, Crop
from robolearn.policies.encoders.backbones import Backbone, ResNet18, SmallBackbone
from robolearn.policies.encoders.config import CameraConfig
from robolearn.policies.encoders.spatial_softmax import SpatialSoftmax


class CameraEncoder(nn.Module):
    """A vector for each image: crop, jitter, convolutions, pooling, one linear layer.

    Args:
        colours: channels of colour, 0 where there is only depth.
        depth: there is a channel of depth.
        config: how images are seen.

    Attributes:
        width: of the vector.

    Raises:
        ConfigurationError: a weights file is given for the small network, or ``far`` is not beyond
            ``near``.
    """

    def __init__(self, colours: int, depth: bool, config: CameraConfig) -> None:
        super().__init__()
        if config.weights and config.network != "resnet18":
            raise ConfigurationError(
                f"weights are read for the network resnet18 only, not for {config.network}"
            )
        if config.far <= config.near:
            raise ConfigurationError(
                f"far is beyond near, and {config.far:g} m is not beyond {config.near:g} m"
            )
        self._config = config
        self.crop = Crop(config.crop)
        self.jitter = ColourJitter(config)
        self.backbone = _backbone(colours + depth, config)
        if config.pooling == "keypoints":
            softmax = SpatialSoftmax(self.backbone.channels, config.keypoints)
            self.pooling: nn.Module = softmax
            pooled = softmax.width
        else:
            self.pooling = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
            pooled = self.backbone.channels
        self.project = nn.Linear(pooled, config.width)
        self.width = config.width

    def require_size(self, name: str, height: int, width: int) -> None:
        """Raise unless images of that size can be seen.

        Raises:
            ConfigurationError: what is left after the crop is too small; names the feature.
        """
        least = self.backbone.least_size
        rows, columns = self.crop.size(height), self.crop.size(width)
        if min(rows, columns) < least:
            raise ConfigurationError(
                f"{name}: after the crop {rows}×{columns} pixels are left of {height}×{width}, and "
                f"the network {self._config.network} needs {least}×{least}"
            )

    def load_first_weights(self) -> None:
        """Read the config's file of weights, if there is one.

        Raises:
            PolicyError: it cannot be read, or is of another network.
        """
        if isinstance(self.backbone, ResNet18) and self._config.weights:
            self.backbone.load(Path(self._config.weights))

    def forward(self, colour: torch.Tensor | None, depth: torch.Tensor | None) -> torch.Tensor:
        """Each image by itself.

        Args:
            colour: (B, K, H, W, C) uint8; None where there is only depth.
            depth: (B, K, H, W) or (B, K, H, W, 1) in metres, or integers of ``depth_unit``; None
                where there is only colour. What is NaN or not above 0 was not measured, and counts
                as far away.

        Returns:
            (B, K, ``width``).
        """
        if depth is None:  # cut out before it is four times as large
            pixels: torch.Tensor = self.crop(colour)
        elif colour is None:
            pixels = self.crop(self._scaled(depth))
        else:
            pixels = self.crop(torch.cat([colour.float() / 255, self._scaled(depth)], dim=-1))
        frames = pixels.shape[1]
        images = pixels.flatten(0, 1).permute(0, 3, 1, 2)
        if images.dtype == torch.uint8:
            images = images.float().div_(255)
        if depth is None:
            images = self.jitter(images, frames)
        elif colour is not None:
            images = torch.cat([self.jitter(images[:, :-1], frames), images[:, -1:]], dim=1)
        vectors = self.project(self.pooling(self.backbone(images)))
        of_windows: torch.Tensor = vectors.unflatten(0, (-1, frames))
        return of_windows

    def _scaled(self, depth: torch.Tensor) -> torch.Tensor:
        """Depth → (B, K, H, W, 1) in [0, 1], 1 where nothing was measured."""
        near, far = self._config.near, self._config.far
        unit = 1.0 if depth.is_floating_point() else self._config.depth_unit
        metres = depth.float() * unit
        scaled = ((metres - near) / (far - near)).clamp(0, 1)
        return torch.where(metres > 0, scaled, 1.0).reshape(*depth.shape[:4], 1)


def _backbone(channels: int, config: CameraConfig) -> Backbone:
    if config.network == "resnet18":
        return ResNet18(channels, pretrained=bool(config.weights))
    return SmallBackbone(channels)
