from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robolearn.episodes.dataset import Dataset
from robolearn.episodes.formats import format_of, open_dataset, open_writer
from robolearn.errors import ConfigurationError, DatasetError

FRONT = "observation.images.front"
FORMS = [
    ("d", "folder"),
    ("d.hdf5", "hdf5"),
    ("d.h5", "hdf5"),
    ("d.zarr", "zarr"),
    ("d.zarr.zip", "zarr"),
]


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_a_name_tells_the_form_and_contents_tell_it_again(
    tmp_path: Path, make_episode, name: str, form: str
) -> None:
    assert format_of(tmp_path / name) == form
    with open_writer(tmp_path / name) as writer:
        for seed in range(3):
            writer.add(make_episode(seed=seed, image=True), valid=seed == 1)
    dataset: Dataset = open_dataset(tmp_path / name)
    assert dataset.split("valid") == [1]
    episode, written = dataset.episode(2), make_episode(seed=2, image=True)
    np.testing.assert_array_equal(episode.actions, written.actions)
    np.testing.assert_array_equal(episode.images[FRONT][:], written.images[FRONT])
    assert [summary.frames for summary in dataset.summaries] == [12, 12, 12]


@pytest.mark.parametrize(
    ("name", "images"), [("d", "video"), ("d.hdf5", "png"), ("d.zarr", "jpeg")]
)
def test_images_that_a_form_does_not_keep_are_refused(
    tmp_path: Path, name: str, images: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"keeps them as .*, not {images}"):
        open_writer(tmp_path / name, images=images)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_dataset_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"there is no dataset .*nothing"):
        open_dataset(tmp_path / "nothing")
    with pytest.raises(DatasetError, match="is no dataset: it has no"):
        open_dataset(tmp_path)
