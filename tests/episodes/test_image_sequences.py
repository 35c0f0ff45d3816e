from __future__ import annotations

import pickle

import numpy as np
import pytest

from robolearn.episodes.images import CODECS, EncodedImages, ImageParts, Images, encoded_frames

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 3), dtype=np.uint8)


def encoded() -> EncodedImages:
    codec = CODECS["lossless"]
    return EncodedImages(list(encoded_frames(PIXELS, codec)), codec, PIXELS.shape[1:])


def parts() -> ImageParts:
    return ImageParts([(encoded(), 0, 2), (PIXELS, 2, 5)])


@pytest.fixture(params=[encoded, parts])
def images(request: pytest.FixtureRequest) -> Images:
    made: Images = request.param()
    return made


@pytest.mark.parametrize("frame", [0, 4, -1, -5, np.int64(2)])
def test_one_frame_is_read_as_from_an_array(images: Images, frame: int) -> None:
    assert images.shape == PIXELS.shape
    assert np.array_equal(images[frame], PIXELS[frame])
    images[frame][:] = 0  # a copy of one's own
    assert np.array_equal(images[frame], PIXELS[frame])


@pytest.mark.parametrize(
    "frames", [slice(None), slice(1, 3), slice(-2, None), slice(3, 1), slice(2, 99), slice(9, 12)]
)
def test_frames_are_read_as_from_an_array(images: Images, frames: slice) -> None:
    assert np.array_equal(images[frames], PIXELS[frames])


@pytest.mark.parametrize("frame", [5, -6])
def test_a_frame_that_is_not_there_is_refused(images: Images, frame: int) -> None:
    with pytest.raises(IndexError, match=f"no frame {frame}: there are 5"):
        images[frame]
    with pytest.raises(IndexError, match="step"):
        images[::2]


def test_frames_can_be_gone_through_and_sent_to_another_process() -> None:
    assert np.array_equal(np.stack(list(encoded())), PIXELS)
    assert np.array_equal(pickle.loads(pickle.dumps(encoded()))[:], PIXELS)
