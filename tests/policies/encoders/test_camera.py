from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from robolearn.errors import ConfigurationError
from robolearn.policies.encoders.camera import CameraEncoder
from robolearn.policies.encoders.config import CameraConfig

WHOLE = CameraConfig(crop=1.0, keypoints=4, width=6)


class Seen:
    """Keeps what the convolutions are shown."""

    def __init__(self, camera: CameraEncoder) -> None:
        self.images = torch.empty(0)
        camera.backbone.register_forward_pre_hook(self._keep)

    def _keep(self, module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        self.images = inputs[0]


@pytest.fixture
def colour() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randint(0, 256, (2, 3, 24, 28, 3), dtype=torch.uint8)


def test_images_become_channels_between_zero_and_one(colour: torch.Tensor) -> None:
    camera = CameraEncoder(3, False, WHOLE)
    seen = Seen(camera)
    assert camera(colour, None).shape == (2, 3, 6)
    expected = colour.flatten(0, 1).permute(0, 3, 1, 2).double() / 255
    torch.testing.assert_close(seen.images.double(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("shape", [(2, 3, 24, 28), (2, 3, 24, 28, 1)])
def test_depth_is_a_further_channel(colour: torch.Tensor, shape: tuple[int, ...]) -> None:
    camera = CameraEncoder(3, True, CameraConfig(crop=1.0, near=0.5, far=2.5, width=6))
    seen = Seen(camera)
    depth = torch.full(shape, 1.0)
    for value, place in ((0.0, 0), (torch.nan, 1), (9.0, 2), (0.1, 3), (torch.inf, 4)):
        depth[:, :, 0, place] = value
    assert camera(colour, depth).shape == (2, 3, 6)
    assert seen.images.shape == (6, 4, 24, 28)
    torch.testing.assert_close(seen.images[:, 3, 1], torch.full((6, 28), 0.25))
    assert seen.images[0, 3, 0, :5].tolist() == [1, 1, 1, 0, 1]
    torch.testing.assert_close(seen.images[0, 0], colour[0, 0, :, :, 0] / 255)


def test_depth_in_integers_is_in_its_unit() -> None:
    camera = CameraEncoder(0, True, CameraConfig(crop=1.0, far=4.0, width=6))
    seen = Seen(camera)
    camera(None, torch.full((1, 1, 24, 28), 1000, dtype=torch.int32))
    torch.testing.assert_close(seen.images, torch.full((1, 1, 24, 28), 0.25))
    camera(None, torch.full((1, 1, 24, 28), 1000, dtype=torch.uint16))
    torch.testing.assert_close(seen.images, torch.full((1, 1, 24, 28), 0.25))


def test_colour_and_depth_are_cut_at_one_place_and_depth_keeps_its_values() -> None:
    torch.manual_seed(0)
    ramp = torch.arange(28, dtype=torch.uint8).expand(5, 2, 24, 28)
    colour = ramp.unsqueeze(-1).expand(5, 2, 24, 28, 3)
    camera = CameraEncoder(3, True, CameraConfig(crop=0.9, near=0.0, far=255.0))
    seen = Seen(camera)
    camera.train()(colour, ramp.float())
    assert seen.images[:, 3, 0, 0].unique().numel() > 1
    # At the left edge depth is 0, which says that nothing was measured.
    inside = seen.images[..., 1:]
    torch.testing.assert_close(inside[:, 0], inside[:, 3])
    jittering = CameraEncoder(3, True, CameraConfig(crop=1.0, brightness=0.5, far=255.0))
    seen = Seen(jittering)
    jittering.train()(colour, ramp.float())
    torch.testing.assert_close(seen.images[0, 3, :, 1:], ramp[0, 0, :, 1:] / 255)
    assert not torch.allclose(seen.images[0, 0], colour[0, 0, :, :, 0] / 255)


@pytest.mark.parametrize("pooling", ["keypoints", "average"])
@pytest.mark.parametrize("network", ["small", "resnet18"])
def test_each_frame_is_seen_by_itself_and_every_weight_learns(network, pooling) -> None:
    torch.manual_seed(0)
    config = CameraConfig(network=network, pooling=pooling, crop=0.9, contrast=0.1)
    camera = CameraEncoder(3, False, config)
    images = torch.randint(0, 256, (2, 3, 40, 40, 3), dtype=torch.uint8)
    camera.eval()
    both = camera(images, None)
    assert both.shape == (2, 3, 64)
    torch.testing.assert_close(both, camera(images, None))
    torch.testing.assert_close(both[1:, 2:], camera(images[1:, 2:], None), atol=1e-4, rtol=1e-4)
    camera.train()
    functional.mse_loss(camera(images, None), torch.zeros(2, 3, 64)).backward()
    for name, parameter in camera.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_images_that_are_too_small_are_named() -> None:
    camera = CameraEncoder(3, False, CameraConfig(crop=0.8))
    camera.require_size("front", 26, 26)
    with pytest.raises(
        ConfigurationError, match=r"^front: after the crop 16×24 pixels are left of 20×30, .* 21×21"
    ):
        camera.require_size("front", 20, 30)


def test_a_config_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="resnet18 only"):
        CameraEncoder(3, False, CameraConfig(weights="resnet18.safetensors"))
    with pytest.raises(ConfigurationError, match=r"0\.5 m is not beyond 1 m"):
        CameraEncoder(3, True, CameraConfig(near=1.0, far=0.5))
