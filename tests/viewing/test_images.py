"""Film strips."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from robolearn.environments.rendering import select_gl
from robolearn.errors import MissingDependency, SimulationError
from robolearn.viewing.images import film_strip, jpeg, png


def test_a_strip_goes_from_the_first_to_the_last_frame(make_dataset, filmed):
    episode = make_dataset((9,), (True,), **filmed).episode(0)
    images = episode.images["observation.images.front"][:]
    images[:] = (np.arange(9) * 20)[:, None, None, None]
    episode = dataclasses.replace(episode, images={"observation.images.front": images})
    strip = film_strip(episode, pictures=3, height=50, width=60, gap=2)
    assert strip.shape == (50, 3 * 60 + 2 * 2, 3)
    assert strip.dtype == np.uint8
    tops = [strip[10, x].tolist() for x in (30, 92, 154)]
    assert tops == [[0] * 3, [80] * 3, [160] * 3]
    assert (strip[:, 60:62] == 255).all()
    assert len(np.unique(strip[:, :60])) > 1, "the time stands on the picture"


def test_fewer_pictures_than_asked_for_where_there_are_fewer_frames(make_dataset, filmed):
    strip = film_strip(make_dataset((2,), (True,), **filmed).episode(0), 6, 50, 60, 0)
    assert strip.shape == (50, 120, 3)


def test_no_strip_without_gl(make_dataset, monkeypatch):
    episode = make_dataset().episode(0)
    monkeypatch.setenv("MUJOCO_GL", "disable")
    with pytest.raises(MissingDependency, match="apt-get install"):
        film_strip(episode)


def test_no_strip_without_a_world(make_dataset, plain):
    with pytest.raises(SimulationError, match="no simulated world"):
        film_strip(make_dataset(**plain).episode(0))


@pytest.mark.rendering
def test_a_strip_is_rendered_from_the_states(make_dataset):
    if select_gl() is None:
        pytest.skip("no GL library")
    episode = make_dataset((9,), (True,)).episode(0)
    episode.observations["simulator_state"][:, 1] = np.linspace(-0.2, 0, 9)
    strip = film_strip(episode, pictures=2, gap=0)
    first, last = strip[:120, :200], strip[:120, 200:]
    green = [(image[..., 1] > image[..., 0].astype(int) + 40) for image in (first, last)]
    heights = [np.nonzero(mask)[0].mean() for mask in green]
    assert heights[1] < heights[0] - 10, "the green gripper rises"


def test_files():
    image = np.full((4, 6, 3), 90, np.uint8)
    for encode, kind in ((jpeg, "JPEG"), (png, "PNG")):
        opened = Image.open(io.BytesIO(encode(image)))
        assert (opened.format, opened.size) == (kind, (6, 4))
        assert np.asarray(opened) == pytest.approx(image, abs=2)
    assert Image.open(io.BytesIO(png(image[..., :1]))).mode == "L"
