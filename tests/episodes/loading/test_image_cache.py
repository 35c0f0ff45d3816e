from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from robolearn.episodes.dataset import Dataset
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.folder import PEERS_INDEX, FolderWriter
from robolearn.episodes.loading import image_cache
from robolearn.episodes.loading.image_cache import ImageCache
from robolearn.errors import DatasetError

FRONT = "observation.images.front"


@pytest.fixture
def dataset(tmp_path: Path, make_episode) -> Dataset:
    with FolderWriter(tmp_path / "d") as writer:
        for seed in range(3):
            writer.add(make_episode(steps=4 + seed, seed=seed, image=True))
    return open_dataset(tmp_path / "d")


@pytest.fixture
def cache(tmp_path: Path) -> ImageCache:
    return ImageCache(tmp_path / "cache")


def images_of(dataset: Dataset) -> np.ndarray:
    indices = range(len(dataset))
    return np.concatenate([episode.images[FRONT][:] for episode in dataset.episodes(indices)])


def files(cache: ImageCache) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in cache.folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("slice_bytes", [1, 300, 4 << 20])
def test_it_holds_all_images_decoded_once(
    dataset: Dataset, cache: ImageCache, monkeypatch: pytest.MonkeyPatch, slice_bytes: int
) -> None:
    monkeypatch.setattr(image_cache, "_SLICE", slice_bytes)
    images = cache.open(dataset, [FRONT])[FRONT]
    assert isinstance(images, np.memmap)
    assert not images.flags.writeable
    np.testing.assert_array_equal(images, images_of(dataset))
    before = files(cache)
    assert [path.name for path in before] == [f"{FRONT}.npy"]
    again = ImageCache(cache.folder).open(open_dataset(dataset.path), [FRONT])[FRONT]
    np.testing.assert_array_equal(again, images)
    assert files(cache) == before


def test_an_added_episode_leads_to_new_images_and_the_old_are_removed(
    dataset: Dataset, cache: ImageCache, make_episode
) -> None:
    old = cache.open(dataset, [FRONT])[FRONT]
    kept = np.array(old)
    with FolderWriter(dataset.path) as writer:
        writer.add(make_episode(steps=3, seed=9, image=True))
    grown = open_dataset(dataset.path)
    np.testing.assert_array_equal(cache.open(grown, [FRONT])[FRONT], images_of(grown))
    assert len(files(cache)) == 1
    np.testing.assert_array_equal(old, kept)  # who has the old ones open still reads them


def test_a_replaced_episode_of_the_same_size_and_time_is_noticed(
    tmp_path: Path, dataset: Dataset, cache: ImageCache, make_episode
) -> None:
    """Also where the dataset was opened by the peers' index, which did not change."""
    index = dataset.path / PEERS_INDEX
    before = [np.array(cache.open(open_dataset(p), [FRONT])[FRONT]) for p in (dataset.path, index)]
    np.testing.assert_array_equal(*before)
    with FolderWriter(tmp_path / "other") as writer:
        for seed in range(3):
            writer.add(make_episode(steps=4 + seed, seed=seed + 50, image=True))
    replaced = dataset.path / "episodes" / "episode_000001.hdf5"
    status = replaced.stat()
    content = (tmp_path / "other" / "episodes" / "episode_000001.hdf5").read_bytes()
    replaced.write_bytes(content.ljust(status.st_size, b"\0"))
    os.utime(replaced, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = cache.open(open_dataset(index), [FRONT])[FRONT]
    np.testing.assert_array_equal(after, images_of(open_dataset(index)))
    assert not np.array_equal(after, before[0])
    with pytest.raises(DatasetError, match="checksum differs"):  # what the folder itself says to it
        cache.open(open_dataset(dataset.path), [FRONT])


def test_two_datasets_do_not_share_images(
    tmp_path: Path, dataset: Dataset, cache: ImageCache, make_episode
) -> None:
    (tmp_path / "there").mkdir()
    with FolderWriter(tmp_path / "there" / "d") as writer:
        writer.add(make_episode(steps=4, seed=7, image=True))
    other = open_dataset(tmp_path / "there" / "d")
    for one in (dataset, other, dataset):
        np.testing.assert_array_equal(cache.open(one, [FRONT])[FRONT], images_of(one))
    assert len(files(cache)) == 2


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY\x01\x00", b"no array"])
def test_a_damaged_file_is_made_again(dataset: Dataset, cache: ImageCache, damage: bytes) -> None:
    cache.open(dataset, [FRONT])
    [path] = files(cache)
    path.write_bytes(damage)
    np.testing.assert_array_equal(cache.open(dataset, [FRONT])[FRONT], images_of(dataset))


def test_a_file_that_is_cut_off_is_made_again(dataset: Dataset, cache: ImageCache) -> None:
    cache.open(dataset, [FRONT])
    [path] = files(cache)
    path.write_bytes(path.read_bytes()[:-1])
    np.testing.assert_array_equal(cache.open(dataset, [FRONT])[FRONT], images_of(dataset))


def test_a_full_disk_is_one_line_and_leaves_nothing(
    dataset: Dataset, cache: ImageCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwrite

    def limited(descriptor: int, data: memoryview, offset: int) -> int:
        if offset >= 1000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[: 1000 - offset], offset)

    monkeypatch.setattr(os, "pwrite", limited)
    with pytest.raises(DatasetError, match=rf"{cache.folder}.*: no decoded images of .*make room"):
        cache.open(dataset, [FRONT])
    assert files(cache) == {}


def test_too_little_room_is_said_before_anything_is_decoded(
    dataset: Dataset, cache: ImageCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_cache, "_room", lambda folder: 100)
    monkeypatch.setattr(dataset, "episodes", None)
    with pytest.raises(DatasetError, match=os.strerror(errno.ENOSPC)):
        cache.open(dataset, [FRONT])
    assert files(cache) == {}


def test_a_dataset_that_changes_meanwhile_is_not_kept(
    dataset: Dataset, cache: ImageCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = image_cache._decode

    def changing(*arguments) -> None:
        decode(*arguments)
        (dataset.path / "episodes" / "more.txt").touch()

    monkeypatch.setattr(image_cache, "_decode", changing)
    with pytest.raises(DatasetError, match="changed while its images were decoded"):
        cache.open(dataset, [FRONT])
    assert files(cache) == {}


PROGRAM = """
import sys
from pathlib import Path
from robolearn.episodes.formats import open_dataset
from robolearn.episodes.loading.image_cache import ImageCache
images = ImageCache(Path(sys.argv[2])).open(open_dataset(Path(sys.argv[1])), [sys.argv[3]])
print(int(images[sys.argv[3]].astype(int).sum()))
"""


def test_several_processes_share_the_work(dataset: Dataset, cache: ImageCache) -> None:
    command = [sys.executable, "-c", PROGRAM, str(dataset.path), str(cache.folder), FRONT]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    sums = {int(process.communicate()[0]) for process in processes}
    assert sums == {int(images_of(dataset).astype(int).sum())}
    assert len(files(cache)) == 1


def test_what_a_killed_process_left_is_written_over(dataset: Dataset, cache: ImageCache) -> None:
    cache.open(dataset, [FRONT])
    [path] = files(cache)
    path.rename(path.with_name(f".{path.name}.part"))
    np.testing.assert_array_equal(cache.open(dataset, [FRONT])[FRONT], images_of(dataset))
    assert list(files(cache)) == [path]


def test_what_is_not_on_the_disk_cannot_be_cached(dataset: Dataset, cache: ImageCache) -> None:
    dataset.path = Path("nowhere")
    with pytest.raises(DatasetError, match="nowhere"):
        cache.open(dataset, [FRONT])


def test_the_users_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert ImageCache().folder == tmp_path / "robolearn" / "images"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ImageCache().folder == tmp_path / ".cache" / "robolearn" / "images"
