from __future__ import annotations

import pytest
import torch

from robolearn.policies.encoders.augmentation import ColourJitter, Crop
from robolearn.policies.encoders.config import CameraConfig

JITTER = CameraConfig(brightness=0.4, contrast=0.4, saturation=0.4)


def places(windows: int, frames: int, height: int, width: int) -> torch.Tensor:
    """Images of which each pixel says its row and column."""
    rows = torch.arange(height).view(-1, 1).expand(height, width)
    columns = torch.arange(width).expand(height, width)
    image = torch.stack([rows, columns, torch.zeros_like(rows)], -1).to(torch.uint8)
    return image.expand(windows, frames, height, width, 3).contiguous()


def test_training_cuts_each_window_at_one_random_place() -> None:
    torch.manual_seed(0)
    cut = Crop(0.8).train()(places(400, 3, 20, 30))
    assert cut.shape == (400, 3, 16, 24, 3)
    corners = cut[:, :, 0, 0, :2].long()
    assert (corners == corners[:, :1]).all(), "all frames of a window at the same place"
    assert corners[:, 0, 0].unique().tolist() == list(range(5))
    assert corners[:, 0, 1].unique().tolist() == list(range(7))
    whole = places(1, 1, 16, 24)[0, 0].long()
    for window in range(5):
        expected = whole + torch.cat([corners[window, 0], torch.zeros(1, dtype=torch.long)])
        torch.testing.assert_close(cut[window, 2].long(), expected)


def test_otherwise_the_middle_is_cut() -> None:
    cut = Crop(0.8).eval()(places(3, 2, 20, 30))
    assert cut.shape == (3, 2, 16, 24, 3)
    assert (cut[:, :, 0, 0, :2] == torch.tensor([2, 3])).all()


def test_a_whole_image_is_left_as_it_is() -> None:
    images = places(2, 1, 7, 5)
    assert Crop(1.0).train()(images) is images


def test_colours_jitter_while_training_only_and_alike_in_a_window() -> None:
    torch.manual_seed(0)
    image = torch.rand(3, 8, 8)
    images = image.expand(10, 3, 8, 8)  # five windows of two frames
    jitter = ColourJitter(JITTER)
    assert jitter.eval()(images, 2) is images
    jittered = jitter.train()(images, 2)
    assert ((jittered >= 0) & (jittered <= 1)).all()
    torch.testing.assert_close(jittered[::2], jittered[1::2])
    assert len({round(float(window.mean()), 6) for window in jittered[::2]}) == 5


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_each_jitter_keeps_what_it_should(name: str) -> None:
    torch.manual_seed(0)
    images = 0.4 + 0.1 * torch.rand(6, 3, 8, 8)  # nothing is cut off at 0 or 1
    jittered = ColourJitter(CameraConfig(**{name: 0.3})).train()(images, 1)
    assert not torch.allclose(jittered, images)
    luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    grey, jittered_grey = (images * luma).sum(1), (jittered * luma).sum(1)
    if name == "brightness":
        factors = (jittered / images).flatten(1)
        torch.testing.assert_close(factors, factors[:, :1].expand_as(factors))
        assert ((factors > 0.7) & (factors < 1.3)).all()
    elif name == "contrast":
        torch.testing.assert_close(jittered_grey.mean((1, 2)), grey.mean((1, 2)))
    else:
        torch.testing.assert_close(jittered_grey, grey)


def test_images_without_colours_jitter_too() -> None:
    torch.manual_seed(0)
    images = 0.4 + 0.1 * torch.rand(4, 1, 8, 8)
    jittered = ColourJitter(JITTER).train()(images, 2)
    assert jittered.shape == images.shape
    assert not torch.allclose(jittered, images)
