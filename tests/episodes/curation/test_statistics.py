from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robolearn.episodes.curation.statistics import (
    DatasetStatistics,
    RunningStatistics,
    histogram,
    read_statistics,
    size_on_disk,
    spread,
)
from robolearn.episodes.dataset import Dataset
from robolearn.episodes.formats.folder import FolderDataset
from robolearn.episodes.images import CODECS, EncodedImages
from robolearn.errors import DatasetError


@given(
    st.lists(st.integers(0, 7), min_size=1, max_size=6),
    st.floats(-1e6, 1e6),
    st.integers(0, 2**32 - 1),
)
def test_blocks_give_what_all_values_together_give(
    lengths: list[int], offset: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    blocks = [offset + random.normal(size=(length, 3)) for length in lengths]
    running = RunningStatistics(3)
    for block in blocks:
        running.add(block)
    values = np.concatenate(blocks)
    assert running.count.tolist() == [len(values)] * 3
    if len(values):
        np.testing.assert_allclose(running.mean, values.mean(axis=0), rtol=1e-9)
        np.testing.assert_allclose(running.std, values.std(axis=0), rtol=1e-6, atol=1e-8)
        np.testing.assert_array_equal(running.low, values.min(axis=0))
        np.testing.assert_array_equal(running.high, values.max(axis=0))


def test_values_far_from_zero_keep_their_deviation() -> None:
    running = RunningStatistics(1)
    for block in np.array_split(1e8 + np.arange(1000.0), 7):
        running.add(block[:, None])
    assert running.std[0] == pytest.approx(np.arange(1000.0).std(), rel=1e-9)


def test_what_is_not_finite_is_left_out() -> None:
    running = RunningStatistics(2)
    running.add(np.array([[1.0, np.nan], [np.inf, np.nan], [3.0, np.nan]]))
    assert running.to_json() == {
        "min": [1.0, None],
        "max": [3.0, None],
        "mean": [2.0, None],
        "std": [1.0, None],
    }


def test_images_and_integers_do_not_overflow() -> None:
    running = RunningStatistics(1)
    running.add(np.full((1000, 1), 255, np.uint8))
    assert (running.mean[0], running.std[0]) == (255, 0)


def test_statistics_of_the_set_that_ships(lift_demonstrations: Path) -> None:
    dataset = FolderDataset(lift_demonstrations)
    *_, statistics = read_statistics(dataset, range(3))
    episodes = [dataset.episode(index) for index in range(3)]
    assert (statistics.episodes, statistics.frames) == (3, 240)
    actions = np.concatenate([episode.actions for episode in episodes]).astype(np.float64)
    found = statistics.streams["action"]
    np.testing.assert_allclose(found.values.mean, actions.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(found.values.std, actions.std(axis=0), rtol=1e-9)
    periods = [np.median(np.diff(episode.timestamps["action"])) for episode in episodes]
    assert found.rate == pytest.approx(np.median(1 / np.array(periods)))
    assert (found.frames, found.lost, found.bytes) == (240, 0, None)


def test_lost_frames_and_interventions_are_counted(lift_demonstrations: Path) -> None:
    episode = FolderDataset(lift_demonstrations).episode(0)
    name = "observation.state.robot0_eef_pos"
    times = np.arange(80) * 0.05
    times[[4, 5, 9]] = times[[3, 3, 8]]
    helped = np.arange(80) < 20
    asked = episode.actions.copy()
    asked[7] += 0.1
    statistics = DatasetStatistics()
    statistics.see(
        replace(
            episode,
            timestamps={**episode.timestamps, name: times},
            interventions=helped,
            actions_asked=asked,
        )
    )
    assert (statistics.interventions, statistics.asked_otherwise) == (20, 1)
    stream = statistics.streams[name]
    assert (stream.lost, stream.rate) == (3, pytest.approx(20))
    assert stream.jitter == pytest.approx(0, abs=1e-9)


def test_images_are_told_by_a_few_and_by_how_they_are_kept(lift_demonstrations: Path) -> None:
    statistics = DatasetStatistics()
    episode = FolderDataset(lift_demonstrations).episode(0)
    pixels = np.zeros((80, 4, 4, 3), np.uint8)
    pixels[..., 1] = 100
    codec = CODECS["raw"]
    images = EncodedImages([codec.encode(image) for image in pixels], codec, (4, 4, 3))
    statistics.see(replace(episode, images={"observation.images.front": images}))
    stream = statistics.streams["observation.images.front"]
    assert stream.values.mean.tolist() == [0, 100, 0]
    assert stream.values.count[0] == 8 * 16
    assert stream.codecs == {"raw"}


class Unreadable(FolderDataset):
    def episode(self, index: int):
        if index == 1:
            raise DatasetError("damaged")
        return super().episode(index)


def test_an_unreadable_episode_is_passed_over_and_counted(lift_demonstrations: Path) -> None:
    dataset: Dataset = Unreadable(lift_demonstrations)
    *_, statistics = read_statistics(dataset, [0, 1, 2])
    assert (statistics.episodes, statistics.unreadable) == (2, [1])


def test_episodes_are_spread_over_all() -> None:
    assert spread(5, 32) == [0, 1, 2, 3, 4]
    assert spread(0, 32) == []
    chosen = spread(10_000, 32)
    assert (len(chosen), chosen[0], chosen[-1]) == (32, 0, 9999)


@pytest.mark.parametrize(
    ("lengths", "bins"),
    [
        ([], []),
        ([5, 5], [(5, 5, 2)]),
        ([1, 2, 2, 8], [(1, 1, 1), (2, 2, 2), *((n, n, 0) for n in range(3, 8)), (8, 8, 1)]),
        ([10, 26], [(10, 12, 1), (13, 15, 0), (16, 18, 0), (19, 21, 0), (22, 24, 0), (25, 27, 1)]),
    ],
)
def test_the_histogram(lengths: list[int], bins: list[tuple[int, int, int]]) -> None:
    assert histogram(lengths) == bins


def test_size_on_disk(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"12345")
    (tmp_path / "c").write_bytes(b"123")
    assert (size_on_disk(tmp_path), size_on_disk(tmp_path / "c")) == (8, 3)


def test_an_episode_without_frames_is_counted(make_episode) -> None:
    statistics = DatasetStatistics()
    statistics.see(make_episode(steps=0, image=True))
    statistics.see(make_episode(image=True))
    assert (statistics.episodes, statistics.frames, statistics.asked_otherwise) == (2, 12, 12)
