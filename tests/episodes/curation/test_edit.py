from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from robolearn.episodes.curation import edit
from robolearn.episodes.dataset import Dataset
from robolearn.episodes.episode import Episode
from robolearn.episodes.formats import folder, open_dataset
from robolearn.episodes.formats.folder import PEERS_INDEX, FolderWriter, episode_path
from robolearn.episodes.labels import Labels
from robolearn.errors import DatasetError, FeatureMismatch

FRONT = "observation.images.front"


@pytest.fixture
def filmed(tmp_path: Path, make_episode) -> Path:
    with FolderWriter(tmp_path / "filmed", images="jpeg") as writer:
        for seed in range(4):
            writer.add(make_episode(seed=seed, image=True))
    return tmp_path / "filmed"


def read(dataset: Path, number: int) -> Episode:
    opened = open_dataset(dataset)
    numbers = [summary.number for summary in opened.summaries]
    return opened.episode(numbers.index(number))


def untouched(dataset: Path, numbers: list[int]) -> list[tuple[bytes, int]]:
    paths = [episode_path(dataset, number) for number in numbers]
    return [(path.read_bytes(), path.stat().st_mtime_ns) for path in paths]


def assert_frames(episode: Episode, source: Episode, frames: slice) -> None:
    np.testing.assert_array_equal(episode.actions, source.actions[frames])
    np.testing.assert_array_equal(episode.actions_asked, source.actions_asked[frames])
    for name, values in source.observations.items():
        np.testing.assert_array_equal(episode.observations[name], values[frames])
    for name, times in source.timestamps.items():
        np.testing.assert_array_equal(episode.timestamps[name], times[frames])
    for name, images in source.images.items():
        np.testing.assert_array_equal(episode.images[name][:], images[:][frames])


def test_trim_keeps_frames_and_does_not_encode_images_again(filmed: Path) -> None:
    before, others = read(filmed, 1), untouched(filmed, [0, 2, 3])
    expected = Episode(**vars(before) | {"images": {FRONT: before.images[FRONT][:]}})
    with FolderWriter(filmed) as writer:
        edit.trim(writer, 1, 3, 9)
    assert_frames(read(filmed, 1), expected, slice(3, 9))
    assert untouched(filmed, [0, 2, 3]) == others
    assert read(filmed, 1).outcome.success is False  # it succeeded at the very end
    assert [summary.frames for summary in open_dataset(filmed).summaries] == [12, 6, 12, 12]
    assert open_dataset(filmed / PEERS_INDEX).episode(1).actions.shape == (6, 2)


@pytest.mark.parametrize(("first", "stop"), [(5, 5), (6, 3), (0, 13), (12, 13)])
def test_frames_that_are_not_there_cannot_be_kept(filmed: Path, first: int, stop: int) -> None:
    with (
        FolderWriter(filmed) as writer,
        pytest.raises(DatasetError, match="no frames"),
    ):
        edit.trim(writer, 1, first, stop)
    assert len(read(filmed, 1)) == 12


def test_split_and_join_give_back_what_was_there(filmed: Path) -> None:
    before = read(filmed, 2)
    expected = Episode(**vars(before) | {"images": {FRONT: before.images[FRONT][:]}})
    with FolderWriter(filmed) as writer:
        edit.resplit(writer, [2])
        assert edit.split(writer, 2, 5) == 4
    assert_frames(read(filmed, 2), expected, slice(0, 5))
    assert_frames(read(filmed, 4), expected, slice(5, 12))
    assert [summary.valid for summary in open_dataset(filmed).summaries] == [0, 0, 1, 0, 1]
    with FolderWriter(filmed) as writer:
        edit.join(writer, [2, 4])
    assert_frames(read(filmed, 2), expected, slice(0, 12))
    assert read(filmed, 2).outcome == before.outcome
    assert [summary.number for summary in open_dataset(filmed).summaries] == [0, 1, 2, 3]


@pytest.mark.parametrize("frame", [0, 12, 99])
def test_no_episode_is_split_into_nothing(filmed: Path, frame: int) -> None:
    with (
        FolderWriter(filmed) as writer,
        pytest.raises(DatasetError, match="can be split at 1 to 11"),
    ):
        edit.split(writer, 2, frame)
    assert len(open_dataset(filmed)) == 4


@pytest.mark.parametrize("numbers", [[1], [1, 1], []])
def test_join_takes_two_episodes(filmed: Path, numbers: list[int]) -> None:
    with FolderWriter(filmed) as writer, pytest.raises(DatasetError, match="two or more"):
        edit.join(writer, numbers)


def test_delete_leaves_the_others_as_they_are(filmed: Path) -> None:
    others = untouched(filmed, [0, 3])
    with FolderWriter(filmed) as writer:
        with pytest.raises(DatasetError, match="no episode 9"):
            writer.delete([1, 9])
        assert len(writer) == 4
        writer.delete([1, 2])
    assert untouched(filmed, [0, 3]) == others
    assert [summary.number for summary in open_dataset(filmed).summaries] == [0, 3]
    with h5py.File(filmed / PEERS_INDEX) as index:
        assert set(index["data"]) == {"demo_0", "demo_3"}
        assert index["data"].attrs["total"] == 24


def test_merge_copies_nothing_on_one_file_system(
    filmed: Path, tmp_path: Path, make_episode
) -> None:
    with FolderWriter(tmp_path / "other") as writer:
        for seed in (7, 8):
            writer.add(make_episode(seed=seed, image=True))
        edit.label(writer, [1], Labels(operator="Grace", success=False))
        edit.resplit(writer, [0])
    with FolderWriter(filmed) as writer:
        assert edit.merge(writer, open_dataset(tmp_path / "other")) == [4, 5]
    merged: Dataset = open_dataset(filmed)
    assert episode_path(filmed, 4).samefile(episode_path(tmp_path / "other", 0))
    assert [s.valid for s in merged.summaries] == [False] * 4 + [True, False]
    assert merged.summaries[5].operator == "Grace"
    assert merged.episode(5).outcome.success is False
    # What is changed in one is not changed in the other.
    with FolderWriter(filmed) as writer:
        edit.trim(writer, 4, 0, 2)
    assert len(read(tmp_path / "other", 0)) == 12


def test_merge_takes_other_formats_and_refuses_itself(
    filmed: Path, line_dataset: Path, make_episode
) -> None:
    with FolderWriter(filmed) as writer:
        with pytest.raises(DatasetError, match="into itself"):
            edit.merge(writer, open_dataset(filmed))
        with pytest.raises(FeatureMismatch, match=FRONT):
            edit.merge(writer, open_dataset(line_dataset))
        assert edit.merge(writer, open_dataset(filmed / "episodes" / "episode_000002.hdf5")) == [4]
    assert_frames(read(filmed, 4), read(filmed, 2), slice(0, 12))
    assert not list(filmed.rglob("*.part"))


def test_labels_are_changed_without_touching_what_was_recorded(filmed: Path) -> None:
    files = untouched(filmed, [0, 1, 2, 3])
    with FolderWriter(filmed) as writer:
        edit.label(writer, [0, 2], Labels(success=False, task="go back"))
        edit.label(writer, [2], Labels(operator="Grace", notes="slipped\nonce"))
        with pytest.raises(DatasetError, match="no readable episode 9"):
            edit.label(writer, [1, 9], Labels(notes="x"))
    assert untouched(filmed, [0, 1, 2, 3]) == files
    episode = read(filmed, 2)
    assert (episode.operator, episode.notes) == ("Grace", "slipped\nonce")
    assert (episode.outcome.success, episode.context.task) == (False, "go back")
    assert read(filmed, 1).notes == "made of numbers"
    assert read(filmed, 1).outcome.success is True
    assert open_dataset(filmed).context.task == "go back"


def test_a_new_split_reaches_the_peers(filmed: Path) -> None:
    with FolderWriter(filmed) as writer:
        edit.resplit(writer, [1, 3])
        with pytest.raises(DatasetError, match="no readable episode 9"):
            edit.resplit(writer, [9])
    assert open_dataset(filmed).split("valid") == [1, 3]
    with h5py.File(filmed / PEERS_INDEX) as index:
        assert index["mask/valid"][()].tolist() == [b"demo_1", b"demo_3"]
        assert index["mask/train"][()].tolist() == [b"demo_0", b"demo_2"]


def test_a_share_is_drawn_by_its_seed() -> None:
    numbers = range(100)
    assert edit.drawn(numbers, 0.25, 1) == edit.drawn(numbers, 0.25, 1)
    assert edit.drawn(numbers, 0.25, 1) != edit.drawn(numbers, 0.25, 2)
    assert len(set(edit.drawn(numbers, 0.25, 1))) == 25
    assert len(edit.drawn([4, 7], 0.01, 0)) == 1


def test_a_file_changed_by_hand_is_refused_until_it_is_accepted(filmed: Path) -> None:
    with h5py.File(episode_path(filmed, 2), "a") as file:
        file["data/demo_0/actions"][0] = 0.25
    with pytest.raises(DatasetError, match=r"episode_000002\.hdf5: it was changed or damaged"):
        read(filmed, 2)
    with FolderWriter(filmed) as writer:
        edit.label(writer, [2], Labels(operator="Grace"))
        writer.accept(2)
    assert read(filmed, 2).actions[0, 0] == 0.25
    assert read(filmed, 2).operator == "Grace"


@pytest.mark.parametrize("moment", ["before the file", "after the file"])
def test_a_kill_while_trimming_leaves_the_labels(
    filmed: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    class Killed(BaseException):
        """Nothing after it is done, as after ``kill -9``."""

    with FolderWriter(filmed) as writer:
        edit.label(writer, [1], Labels(task="other task", notes="mine"))
        edit.resplit(writer, [1])

    def killed(*arguments: Path) -> None:
        if moment == "after the file":
            arguments[0].replace(arguments[1])
        raise Killed

    writer = FolderWriter(filmed)
    with monkeypatch.context() as patch:
        patch.setattr(folder, "commit", killed)
        with pytest.raises(Killed):
            edit.trim(writer, 1, 3)
    writer._claim.close()
    frames = 9 if moment == "after the file" else 12
    for _ in range(2):
        summary = open_dataset(filmed).summaries[1]
        assert (summary.frames, summary.valid, summary.notes) == (frames, True, "mine")
        assert len(read(filmed, 1)) == frames
        assert read(filmed, 1).context.task == "other task"
        with FolderWriter(filmed):
            pass


def test_what_was_merged_already_is_not_merged_again(filmed: Path, tmp_path: Path) -> None:
    with FolderWriter(tmp_path / "all") as writer:
        assert edit.merge(writer, open_dataset(filmed)) == [0, 1, 2, 3]
        assert edit.merge(writer, open_dataset(filmed)) == [0, 1, 2, 3]
        assert len(writer) == 4


def test_merging_links_leads_to_files(filmed: Path, tmp_path: Path) -> None:
    links = tmp_path / "links" / "episodes"
    links.mkdir(parents=True)
    for file in (filmed / "episodes").glob("*.hdf5"):
        (links / file.name).symlink_to(file)
    with FolderWriter(tmp_path / "all") as writer:
        edit.merge(writer, open_dataset(tmp_path / "links"))
    assert not any(path.is_symlink() for path in (tmp_path / "all").rglob("*"))


def test_only_parts_of_one_episode_are_joined(filmed: Path) -> None:
    with FolderWriter(filmed) as writer, pytest.raises(DatasetError, match="by their clocks"):
        edit.join(writer, [1, 2])
    assert len(open_dataset(filmed)) == 4


def test_images_of_a_file_that_was_replaced_are_not_read(filmed: Path) -> None:
    episode = read(filmed, 1)
    with FolderWriter(filmed) as writer:
        edit.trim(writer, 1, 3)
    with pytest.raises(DatasetError, match=r"episode_000001\.hdf5 has changed since it was opened"):
        episode.images[FRONT][0:1]
