"""Convolutions over images: a small network for CPUs, and ResNet-18."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from robolearn.errors import PolicyError

_GROUP = 16
"""Channels in a group of GroupNorm, as in Diffusion Policy (Chi et al. 2023)."""


class Backbone(nn.Module):
    """Maps of an image.

    It keeps no statistics of the images that it saw, so that small batches and a moving average of
    the weights work.

    Attributes:
        channels: of the maps.
        least_size: height and width of the smallest image: its maps are 2×2, since one place tells
            no position.
    """

    channels: int
    least_size: int

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) in [0, 1] → (N, ``channels``, h, w)."""
        maps: torch.Tensor = self.layers(images)
        return maps


class SmallBackbone(Backbone):
    """Three convolutions; an image of 76×76 becomes maps of 15×15. 15 thousand parameters.

    Args:
        channels: of the images.
    """

    channels = 32
    least_size = 21

    def __init__(self, channels: int) -> None:
        layers: list[nn.Module] = []
        for width, kernel, stride in ((16, 5, 2), (32, 3, 2), (self.channels, 3, 1)):
            layers += [
                nn.Conv2d(channels, width, kernel, stride),
                nn.GroupNorm(width // _GROUP, width),
                nn.ReLU(),
            ]
            channels = width
        super().__init__(nn.Sequential(*layers))


class ResNet18(Backbone):
    """ResNet-18 without its last two layers (He et al. 2016).

    An image of 76×76 becomes maps of 3×3. 11 million parameters.

    Args:
        channels: of the images; the first three are colours.
        pretrained: `load` will be given weights of torchvision's ResNet-18. Then images are
            normalised as torchvision's are and the statistics of its BatchNorm stay as they are;
            otherwise GroupNorm stands in its place, as in Diffusion Policy (Chi et al. 2023).
    """

    channels = 512
    least_size = 33

    _mean: torch.Tensor
    _deviation: torch.Tensor

    def __init__(self, channels: int, pretrained: bool) -> None:
        from torchvision.models import resnet18  # takes seconds
        from torchvision.ops import FrozenBatchNorm2d

        net = resnet18(
            weights=None, norm_layer=FrozenBatchNorm2d if pretrained else _group_normalization
        )
        if channels != 3:
            net.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
            nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
        kept = [(name, layer) for name, layer in net.named_children() if name not in _DROPPED]
        super().__init__(nn.Sequential(OrderedDict(kept)))
        self._pretrained = pretrained
        mean, deviation = torch.full((channels,), 0.5), torch.full((channels,), 0.25)
        mean[:3] = torch.tensor([0.485, 0.456, 0.406])[:channels]
        deviation[:3] = torch.tensor([0.229, 0.224, 0.225])[:channels]
        self.register_buffer("_mean", mean.view(-1, 1, 1), persistent=False)
        self.register_buffer("_deviation", deviation.view(-1, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self._pretrained:
            images = (images - self._mean) / self._deviation
        return super().forward(images)

    def load(self, path: Path) -> None:
        """Take the weights of a ResNet-18 as torchvision names them.

        Channels beyond, or other than, three colours begin with the mean of the colours' weights.

        Args:
            path: a ``.safetensors`` file, or a ``.pth`` file, from which only tensors are read.

        Raises:
            PolicyError: the file is missing, damaged, or of another network.
        """
        try:
            if path.suffix == ".safetensors":
                weights = load_file(path)
            else:
                weights = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError as error:
            raise PolicyError(f"{path}: there is no such file of weights") from error
        except (OSError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise PolicyError(f"{path}: no readable weights") from error
        own = self.layers.state_dict()
        if not isinstance(weights, dict):
            raise PolicyError(f"{path}: no weights of a ResNet-18, but {type(weights).__name__}")
        weights = {name: value for name, value in weights.items() if name in own}
        missing = [name for name in own if name not in weights]
        if missing:
            raise PolicyError(
                f"{path}: no weights of a ResNet-18: {missing[0]} is missing"
                + (f", and {len(missing) - 1} more" if len(missing) > 1 else "")
            )
        weights["conv1.weight"] = _for_channels(weights["conv1.weight"], own["conv1.weight"])
        for name, value in own.items():
            if weights[name].shape != value.shape:
                raise PolicyError(
                    f"{path}: no weights of a ResNet-18: {name} is {tuple(weights[name].shape)}, "
                    f"not {tuple(value.shape)}"
                )
        self.layers.load_state_dict(weights)


_DROPPED = ("avgpool", "fc")


def _group_normalization(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(channels // _GROUP, channels)


def _for_channels(weights: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """(64, 3, 7, 7) → (64, C, 7, 7); anything else is given back as it is."""
    channels = own.shape[1]
    if channels == 3 or weights.ndim != 4 or weights.shape[1] != 3:
        return weights
    mean = weights.mean(1, keepdim=True)
    if channels < 3:
        return mean.expand(-1, channels, -1, -1)
    return torch.cat([weights, mean.expand(-1, channels - 3, -1, -1)], dim=1)
