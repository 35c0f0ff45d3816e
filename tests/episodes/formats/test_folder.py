from __future__ import annotations

import dataclasses
import errno
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import INDEX, PEERS_INDEX, FolderWriter, count_episodes
from robolearn.episodes.formats.folder_index import FolderIndex
from robolearn.episodes.formats.safe_hdf5 import look_through
from robolearn.errors import DatasetError, FeatureMismatch, FolderInUse


def test_episodes_are_added_to_what_is_there(line_dataset: Path, make_episode) -> None:
    with FolderWriter(line_dataset) as writer:
        assert writer.add(make_episode(steps=5, seed=77)) == 10
    dataset = open_dataset(line_dataset)
    assert len(dataset) == count_episodes(line_dataset) == 11
    assert dataset.episode(10).context.seed == 77
    assert [dataset.episode(index).context.seed for index in range(10)] == list(range(10))


def test_the_split_is_stable_when_episodes_are_added(line_dataset: Path, make_episode) -> None:
    before = open_dataset(line_dataset)
    assert (len(before.split("train")), before.split("valid")) == (9, [9])
    with FolderWriter(line_dataset) as writer:
        for seed in range(10):
            writer.add(make_episode(seed=seed))
    assert open_dataset(line_dataset).split("valid") == [9, 19]


def test_the_index_holds_what_the_files_hold(line_dataset: Path) -> None:
    with h5py.File(line_dataset / PEERS_INDEX) as index:
        assert sorted(index["data"]) == sorted(f"demo_{number}" for number in range(10))
        assert index["data"].attrs["total"] == 120
        np.testing.assert_array_equal(
            index["data/demo_3/actions"][()], open_dataset(line_dataset).episode(3).actions
        )
        assert index["mask/valid"][()].tolist() == [b"demo_9"]
        assert len(index["mask/train"]) == 9


def test_the_index_moves_with_the_folder(line_dataset: Path, tmp_path: Path) -> None:
    shutil.move(line_dataset, tmp_path / "moved")
    assert len(open_dataset(tmp_path / "moved" / PEERS_INDEX).episode(4)) == 12


def test_one_writer_at_a_time(line_dataset: Path) -> None:
    with FolderWriter(line_dataset), pytest.raises(FolderInUse, match="another process"):
        FolderWriter(line_dataset)


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(FolderInUse, match="no dataset"):
        FolderWriter(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_another_set_of_features_is_refused(line_dataset: Path, make_episode) -> None:
    with (
        FolderWriter(line_dataset) as writer,
        pytest.raises(FeatureMismatch, match=r"observation\.images\.front"),
    ):
        writer.add(make_episode(image=True))
    assert len(open_dataset(line_dataset)) == 10
    episode = make_episode()
    faster = dataclasses.replace(episode, context=dataclasses.replace(episode.context, rate=50.0))
    with FolderWriter(line_dataset) as writer, pytest.raises(FeatureMismatch, match="in rate"):
        writer.add(faster)


def test_a_full_disk_leaves_the_others_intact(
    line_dataset: Path, make_episode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with FolderWriter(line_dataset) as writer:
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            writer.add(make_episode())
        monkeypatch.undo()
    assert len(open_dataset(line_dataset)) == 10
    assert len(open_dataset(line_dataset).episode(9)) == 12
    assert not list(line_dataset.rglob("*.part"))


@pytest.mark.parametrize("path", ["nothing", "empty"])
def test_what_is_no_dataset_is_named(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=path):
        open_dataset(tmp_path / path)


def test_a_file_that_is_no_hdf5_is_named(tmp_path: Path) -> None:
    (tmp_path / "demo.hdf5").write_text("not HDF5")
    with pytest.raises(DatasetError, match=r"demo\.hdf5: no readable episodes"):
        open_dataset(tmp_path / "demo.hdf5")


def test_an_episode_is_never_overwritten(line_dataset: Path, make_episode) -> None:
    """With one deleted by hand, the next is numbered after the last, not by the count."""
    episodes = line_dataset / "episodes"
    (episodes / "episode_000003.hdf5").unlink()
    last = (episodes / "episode_000009.hdf5").read_bytes()
    with FolderWriter(line_dataset) as writer:
        assert writer.add(make_episode(seed=50)) == 10
    assert (episodes / "episode_000009.hdf5").read_bytes() == last
    dataset = open_dataset(line_dataset)
    assert len(dataset) == len(open_dataset(line_dataset / PEERS_INDEX)) == 10
    assert dataset.split("valid") == [8]  # still the one with the number 9


def test_an_index_that_points_nowhere_is_named(line_dataset: Path) -> None:
    (line_dataset / "episodes" / "episode_000003.hdf5").unlink()
    dataset = open_dataset(line_dataset / PEERS_INDEX)
    with pytest.raises(DatasetError, match=r"episode_000003\.hdf5: no readable episodes"):
        dataset.episode(3)


@pytest.mark.parametrize("name", [PEERS_INDEX, "episodes/episode_000000.hdf5"])
def test_damaged_headers_are_an_error(line_dataset: Path, name: str) -> None:
    """Of h5py's many errors none comes through. HDF5 checks these parts of a file by a checksum."""
    path = line_dataset / name
    whole = path.read_bytes()
    headers = [start for start in range(len(whole)) if whole.startswith(b"OHDR", start)]
    assert len(headers) > 3
    copies = []
    for start in headers:
        damaged = bytearray(whole)
        damaged[start + 8] ^= 1
        copies.append(path.with_name(f"damaged_{start}.hdf5"))
        copies[-1].write_bytes(damaged)
    look_through(copies)
    refused = 0
    for copy in copies:
        try:
            dataset = open_dataset(copy)
            assert dataset.context is not None
            list(dataset.episodes(dataset.split("all")))
        except DatasetError as error:
            refused += copy.name in str(error)
    assert refused > len(headers) // 2


def test_a_flipped_bit_in_a_recorded_episode_is_an_error(line_dataset: Path) -> None:
    path = line_dataset / "episodes" / "episode_000004.hdf5"
    damaged = bytearray(path.read_bytes())
    damaged[-50] ^= 4
    path.write_bytes(damaged)
    dataset = open_dataset(line_dataset)
    assert len(dataset.summaries) == 10
    assert len(dataset.episode(3)) == 12
    with pytest.raises(DatasetError, match=r"episode_000004\.hdf5: it was changed or damaged"):
        dataset.episode(4)


def test_without_its_index_a_dataset_is_what_it_was(line_dataset: Path) -> None:
    before = open_dataset(line_dataset).summaries
    (line_dataset / INDEX).unlink()
    assert open_dataset(line_dataset).summaries == before
    with FolderWriter(line_dataset) as writer:
        assert list(writer.summaries_by_number.values()) == before
    assert len((line_dataset / INDEX).read_text().splitlines()) == 10


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"no JSON",
        b"[]",
        b"null",
        b'{"number": 3}',
        b'{"number": -3, "frames": 12, "valid": false, "bytes": 1, "crc32": 1}',
        (
            b'{"number": 3, "frames": -1, "valid": false, "success": null, "task": "", "agent": "", '
            b'"bytes": 9, "crc32": 1}'
        ),
        (
            b'{"number": 3, "frames": 9000000000000, "valid": false, "success": null, "task": "", '
            b'"agent": "", "bytes": 9000, "crc32": 1}'
        ),
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_damaged_lines_of_the_index_are_passed_over(line_dataset: Path, line: bytes) -> None:
    before = open_dataset(line_dataset).summaries
    lines = (line_dataset / INDEX).read_bytes().splitlines()
    lines[3] = line
    (line_dataset / INDEX).write_bytes(b"\n".join(lines))  # the last one's end is missing, too
    assert open_dataset(line_dataset).summaries == before
    assert len(open_dataset(line_dataset).episode(3)) == 12
    with FolderWriter(line_dataset):
        pass
    assert open_dataset(line_dataset).summaries == before
    assert len((line_dataset / INDEX).read_text().splitlines()) == 10


def test_a_line_cut_off_by_a_kill_does_not_swallow_the_next(
    line_dataset: Path, make_episode
) -> None:
    whole = (line_dataset / INDEX).read_bytes()
    (line_dataset / INDEX).write_bytes(whole[:-30])
    with FolderWriter(line_dataset) as writer:
        assert writer.add(make_episode(seed=50)) == 10
    assert [summary.number for summary in open_dataset(line_dataset).summaries] == list(range(11))


def test_the_peers_index_grows_with_the_dataset(line_dataset: Path, make_episode) -> None:
    """Not with each episode, which would cost more the more there are; at the end, all are in it."""
    with FolderWriter(line_dataset) as writer:
        for seed in range(3):
            writer.add(make_episode(seed=seed))
        with h5py.File(line_dataset / PEERS_INDEX) as index:
            assert len(index["data"]) >= 11
    with h5py.File(line_dataset / PEERS_INDEX) as index:
        assert len(index["data"]) == 13
        assert index["data"].attrs["total"] == 13 * 12


def test_ctrl_c_between_the_file_and_its_line_leaves_a_whole_dataset(
    line_dataset: Path, make_episode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with FolderWriter(line_dataset) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(FolderIndex, "append", interrupted)
            with pytest.raises(KeyboardInterrupt):
                writer.add(make_episode(seed=77))
        assert len(writer) == 11
        assert writer.add(make_episode(seed=78)) == 11  # and not in the place of that one
    assert len((line_dataset / INDEX).read_text().splitlines()) == 12
    assert [summary.number for summary in open_dataset(line_dataset).summaries] == list(range(12))


def test_numbers_go_on_beyond_six_digits(line_dataset: Path, make_episode) -> None:
    episodes = line_dataset / "episodes"
    (episodes / "episode_000009.hdf5").rename(episodes / "episode_999999.hdf5")
    for number in (1_000_000, 1_000_001):
        with FolderWriter(line_dataset) as writer:
            assert writer.add(make_episode(seed=number)) == number
    assert [summary.number for summary in open_dataset(line_dataset).summaries][-3:] == [
        *(999_999, 1_000_000, 1_000_001)
    ]


def test_opening_a_writer_changes_nothing(line_dataset: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in line_dataset.rglob("*") if path.is_file()}
    with FolderWriter(line_dataset):
        pass
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_an_unreadable_episode_can_be_deleted(line_dataset: Path) -> None:
    (line_dataset / INDEX).unlink()
    (line_dataset / "episodes" / "episode_000004.hdf5").write_bytes(b"no HDF5")
    with FolderWriter(line_dataset) as writer:
        writer.delete([4])
    assert len(open_dataset(line_dataset).summaries) == 9


def test_an_empty_dataset_with_an_episode_in_flight_says_how_to_keep_it(tmp_path: Path) -> None:
    (tmp_path / "d" / "episodes").mkdir(parents=True)
    (tmp_path / "d" / "episodes" / ".0.journal").touch()
    with pytest.raises(DatasetError, match=r"robolearn edit .* recover"):
        open_dataset(tmp_path / "d")


def test_no_code_in_the_users_folder_is_run(
    line_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line_dataset / INDEX).unlink()
    for module in ("resource", "h5py", "sys"):
        (line_dataset / f"{module}.py").write_text("open('run', 'w')")
    monkeypatch.chdir(line_dataset)
    assert len(open_dataset(Path()).summaries) == 10
    assert not Path("run").exists()
