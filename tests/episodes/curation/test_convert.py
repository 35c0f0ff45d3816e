from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from robolearn.episodes.curation.convert import converted_before, copy_episodes, require_apart
from robolearn.episodes.dataset import Dataset, EpisodeSummary
from robolearn.episodes.episode import Episode
from robolearn.episodes.formats import FormatName, format_of, open_dataset, open_writer
from robolearn.episodes.formats.folder import FolderDataset, FolderWriter
from robolearn.episodes.frames import EpisodeContext
from robolearn.errors import ConfigurationError, DatasetError, FolderInUse, SimulationError


class InMemory(Dataset):
    """Episodes, of which the odd ones are for validation."""

    def __init__(self, episodes: Sequence[Episode]) -> None:
        super().__init__(Path("memory"))
        self._episodes = episodes

    @property
    def summaries(self) -> Sequence[EpisodeSummary]:
        return [
            EpisodeSummary.of(episode, 10 + index, valid=index % 2 == 1)
            for index, episode in enumerate(self._episodes)
        ]

    @property
    def context(self) -> EpisodeContext:
        return self._episodes[0].context

    def episode(self, index: int) -> Episode:
        return self._episodes[index]


@pytest.fixture
def source(make_episode: Callable[..., Episode]) -> InMemory:
    return InMemory([make_episode(seed=seed, image=True) for seed in range(5)])


def unchanged(episode: Episode) -> Episode:
    return episode


def copy(source: Dataset, target: Path, indices: Sequence[int], form: FormatName = "folder") -> int:
    with open_writer(target, form) as writer:
        return sum(1 for _ in copy_episodes(source, indices, writer, unchanged))


@pytest.mark.parametrize("name", ["demos", "demos.hdf5", "demos.zarr", "demos.zarr.zip"])
def test_episodes_and_split_are_kept(tmp_path: Path, source: InMemory, name: str) -> None:
    form = format_of(tmp_path / name)
    assert copy(source, tmp_path / "sub" / name, [0, 1, 3, 4], form) == 4
    copied = open_dataset(tmp_path / "sub" / name)
    assert [summary.valid for summary in copied.summaries] == [False, True, True, False]
    for place, index in enumerate((0, 1, 3, 4)):
        one, other = source.episode(index), copied.episode(place)
        np.testing.assert_array_equal(one.actions, other.actions)
        images = "observation.images.front"
        np.testing.assert_array_equal(one.images[images][0:12], other.images[images][0:12])
    assert [path.name for path in (tmp_path / "sub").iterdir()] == [name]


def test_a_folder_goes_on_with_the_same_episodes_only(tmp_path: Path, source: InMemory) -> None:
    target = tmp_path / "demos"
    assert converted_before(source, range(5), target) == 0
    copy(source, target, [0, 2])
    assert converted_before(source, [0, 2, 3], target) == 2
    for indices in ([0, 1, 2], [2, 0], [0]):
        with pytest.raises(FolderInUse, match="are not those of memory"):
            converted_before(source, indices, target)


def test_labels_that_were_edited_do_not_stop_it(tmp_path: Path, source: InMemory) -> None:
    target = tmp_path / "demos"
    copy(source, target, [0, 1])
    summary = FolderDataset(target).summaries[0]
    with FolderWriter(target) as writer:
        writer.relabel({0: dataclasses.replace(summary, task="another", valid=True)})
    assert converted_before(source, range(5), target) == 2


@pytest.mark.parametrize("form", ["folder", "hdf5", "zarr"])
def test_what_is_kept_when_it_breaks_off(
    tmp_path: Path, source: InMemory, form: FormatName
) -> None:
    target = tmp_path / "demos"

    def stop_at_the_third(episode: Episode) -> Episode:
        if episode is source.episode(2):
            raise KeyboardInterrupt
        return episode

    with pytest.raises(KeyboardInterrupt), open_writer(target, form) as writer:
        list(copy_episodes(source, range(5), writer, stop_at_the_third))
    kept = 0 if form == "hdf5" else 2
    assert [path.name for path in tmp_path.iterdir()] == (["demos"] if kept else [])
    before = converted_before(source, range(5), target)
    assert before == kept
    assert copy(source, target, range(5)[before:], form) == 5 - kept
    assert len(open_dataset(target)) == 5


def test_an_episode_that_cannot_be_changed_is_named(tmp_path: Path, source: InMemory) -> None:
    def refuse(episode: Episode) -> Episode:
        raise SimulationError("no states")

    with open_writer(tmp_path / "demos") as writer:
        with pytest.raises(SimulationError, match=r"^memory, episode 13: no states"):
            list(copy_episodes(source, [3], writer, refuse))
    assert not (tmp_path / "demos").exists()


def test_source_and_target_are_apart(tmp_path: Path) -> None:
    inside = tmp_path / "demos" / "episodes"
    inside.mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "demos")
    demos = tmp_path / "demos"
    with pytest.raises(ConfigurationError, match="is the dataset itself"):
        require_apart(demos, tmp_path / "link")
    for source, target in ((demos, inside), (inside, demos), (demos, tmp_path / "link" / "new")):
        with pytest.raises(ConfigurationError, match="lies in the other"):
            require_apart(source, target)
    require_apart(demos, tmp_path / "demos2")


@pytest.mark.parametrize("form", ["folder", "hdf5", "zarr"])
def test_an_episode_without_frames_is_refused_before_anything_is_written(
    tmp_path: Path, make_episode: Callable[..., Episode], form: FormatName
) -> None:
    source = InMemory([make_episode(), make_episode(steps=0)])
    with pytest.raises(DatasetError, match=r"^memory, episode 11: it has no frames"):
        copy(source, tmp_path / "demos", [0, 1], form)
    assert list(tmp_path.iterdir()) == []
    assert copy(source, tmp_path / "demos", [0], form) == 1
