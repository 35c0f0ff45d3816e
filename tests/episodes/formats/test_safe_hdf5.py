"""Files that were made to do harm, or damaged at any place: an error that names them, and no more."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partialmethod
from pathlib import Path

import h5py
import numpy as np
import pytest

from robolearn.episodes.dataset import Dataset
from robolearn.episodes.formats import open_dataset, safe_hdf5
from robolearn.episodes.formats.hdf5 import read_episode, write_episode
from robolearn.episodes.formats.safe_hdf5 import look_through, writing
from robolearn.errors import DatasetError


@pytest.fixture
def demo(tmp_path: Path, make_episode) -> Path:
    write_episode(make_episode(image=True), tmp_path / "demo.hdf5")
    return tmp_path / "demo.hdf5"


def read_all(path: Path) -> None:
    dataset: Dataset = open_dataset(path)
    for episode in dataset.episodes(range(len(dataset))):
        for images in episode.images.values():
            images[:]


def test_bits_that_flip_anywhere_end_in_an_error_or_do_no_harm(tmp_path: Path, demo: Path) -> None:
    whole = demo.read_bytes()
    random = np.random.default_rng(0)
    files = []
    for number in range(150):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), random.integers(1, 4)):
            damaged[place] ^= 1 << random.integers(8)
        files.append(tmp_path / f"flipped_{number}.hdf5")
        files[-1].write_bytes(damaged)
    refused = unread(files)
    assert 10 < refused < 150


def test_files_cut_off_anywhere_end_in_an_error(tmp_path: Path, demo: Path) -> None:
    whole = demo.read_bytes()
    files = []
    for length in np.linspace(0, len(whole) - 1, 60).astype(int):
        files.append(tmp_path / f"cut_{length}.hdf5")
        files[-1].write_bytes(whole[:length])
    assert unread(files) == 60


def unread(files: list[Path]) -> int:
    """How many of the files are refused; each is, by its name, or can be read."""
    look_through(files)
    refused = 0
    for path in files:
        try:
            read_all(path)
        except DatasetError as error:
            assert path.name in str(error)  # noqa: PT017
            assert "\n" not in str(error).strip()  # noqa: PT017
            refused += 1
    return refused


def test_a_file_that_hangs_or_kills_hdf5_does_so_in_another_process(
    tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stand-ins for what HDF5 does with some files: it hangs, waits, dies; the last is good."""
    names = ["hangs.hdf5", "waits.hdf5", "dies.hdf5", "good.hdf5"]
    for name in names:
        shutil.copy(demo, tmp_path / name)
    program = (
        "import os, resource, sys, time\n"
        "seconds = int(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))\n"
        "for path in sys.stdin.read().split('\\0')[:-1]:\n"
        "    while path.endswith('hangs.hdf5'): pass\n"
        "    if path.endswith('waits.hdf5'): time.sleep(1000)\n"
        "    if path.endswith('dies.hdf5'): os.kill(os.getpid(), 11)\n"
        "    print(flush=True)\n"
    )
    monkeypatch.setattr(safe_hdf5, "PROBE", [sys.executable, "-I", "-S", "-c", program])
    monkeypatch.setattr(safe_hdf5, "_PROBE_SECONDS", 0.5)
    monkeypatch.setattr(safe_hdf5, "_PATIENCE", 10)
    look_through([tmp_path / name for name in names])
    for name, reason in zip(
        names, ("comes to no end", "comes to no end", "dies of it"), strict=False
    ):
        with pytest.raises(DatasetError, match=rf"{name}: .*{reason}"):
            open_dataset(tmp_path / name)
    assert len(open_dataset(tmp_path / "good.hdf5")) == 1


@pytest.mark.parametrize(
    "key", ["data/demo_0", "data/demo_0/obs", "data/demo_0/actions", "data/demo_0/robolearn/time"]
)
@pytest.mark.parametrize("kind", ["external", "outside", "soft"])
def test_links_are_not_followed(tmp_path: Path, demo: Path, key: str, kind: str) -> None:
    secret = tmp_path / "elsewhere" / "secret.hdf5"
    secret.parent.mkdir()
    shutil.copy(demo, secret)
    with h5py.File(demo, "a") as file:
        del file[key]
        file[key] = {
            "external": h5py.ExternalLink("elsewhere/secret.hdf5", key),
            "outside": h5py.ExternalLink(str(secret), key),
            "soft": h5py.SoftLink("/data/demo_0"),
        }[kind]
    if key == "data/demo_0" and kind == "external":  # an index may lead into its own folder
        read_all(demo)
        return
    if key == "data/demo_0" and kind == "outside":  # this one's folder is above
        shutil.move(demo, secret.parent.parent / "elsewhere" / "demo.hdf5")
        demo = secret.parent / "demo.hdf5"
        with h5py.File(demo, "a") as file:
            del file[key]
            file[key] = h5py.ExternalLink("../../secret.hdf5", key)
    with pytest.raises(DatasetError, match=rf"{demo.name}: .*(link|outside)"):
        read_all(demo)


def test_an_index_does_not_lead_out_of_its_folder(tmp_path: Path, line_dataset: Path) -> None:
    (tmp_path / "secret.hdf5").write_bytes((line_dataset / "index.hdf5").read_bytes())
    for target in ("../secret.hdf5", str(tmp_path / "secret.hdf5")):
        with h5py.File(line_dataset / "index.hdf5", "a") as index:
            del index["data/demo_3"]
            index["data/demo_3"] = h5py.ExternalLink(target, "data/demo_0")
        with pytest.raises(DatasetError, match=r"index\.hdf5: .*outside"):
            open_dataset(line_dataset / "index.hdf5")


def test_numbers_kept_in_another_file_are_not_read(tmp_path: Path, demo: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(range(256)) * 4)
    with h5py.File(demo, "a") as file:
        del file["data/demo_0/actions"]
        file["data/demo_0"].create_dataset(
            "actions", (12, 2), "float32", external=[(str(secret), 0, h5py.h5f.UNLIMITED)]
        )
    with pytest.raises(DatasetError, match=r"demo\.hdf5: .*another file"):
        read_all(demo)


def test_virtual_datasets_are_not_read(tmp_path: Path, demo: Path) -> None:
    with h5py.File(tmp_path / "secret.hdf5", "w") as file:
        file["x"] = np.zeros((12, 2), np.float32)
    with h5py.File(demo, "a") as file:
        del file["data/demo_0/actions"]
        layout = h5py.VirtualLayout((12, 2), "float32")
        layout[:] = h5py.VirtualSource(str(tmp_path / "secret.hdf5"), "x", (12, 2))
        file["data/demo_0"].create_virtual_dataset("actions", layout)
    with pytest.raises(DatasetError, match=r"demo\.hdf5: .*another file"):
        read_all(demo)


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [((10**12, 2), (1000, 2)), ((10**8, 2), (1000, 2)), ((10**10, 2), (10**9, 1))],
)
def test_declared_sizes_are_not_believed(demo: Path, shape: tuple, chunks: tuple) -> None:
    with h5py.File(demo, "a") as file:
        del file["data/demo_0/actions"]
        file["data/demo_0"].create_dataset("actions", shape, "float32", chunks=chunks)
    with pytest.raises(DatasetError, match=r"demo\.hdf5: .*declares"):
        read_all(demo)


def test_images_that_are_not_there_are_named(demo: Path) -> None:
    with h5py.File(demo, "a") as file:
        obs = file["data/demo_0/obs"]
        del obs["front_image"]
        images = obs.create_dataset("front_image", (12, 6, 8, 3), "u1", chunks=(1, 6, 8, 3))
        images[:5] = 1
    with pytest.raises(DatasetError, match=r"demo\.hdf5: .*front_image lacks the image of frame 5"):
        read_all(demo)


def test_an_image_of_another_size_is_not_decoded(tmp_path: Path, make_episode) -> None:
    write_episode(make_episode(image=True), tmp_path / "e.hdf5", images="jpeg")
    import imagecodecs

    large = imagecodecs.jpeg8_encode(np.zeros((4000, 4000, 3), np.uint8))
    with h5py.File(tmp_path / "e.hdf5", "a") as file:
        images = file["data/demo_0/obs/front_image"]
        images.id.write_direct_chunk((4, 0, 0, 0), large)
    episode = read_episode(tmp_path / "e.hdf5")
    with pytest.raises(DatasetError, match=r"e\.hdf5: the image of frame 4 cannot be decoded"):
        episode.images["observation.images.front"][:]


def test_an_opened_file_that_is_cut_off_meanwhile_is_named(demo: Path) -> None:
    episode = read_episode(demo)
    os.truncate(demo, 3000)
    with pytest.raises(DatasetError, match=r"demo\.hdf5 has changed since it was opened"):
        episode.images["observation.images.front"][:]


@pytest.fixture
def small_disk(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("chunks", [(10, 1000), None])
def test_a_full_disk_is_an_error_and_not_the_end_of_the_process(
    small_disk: Path, chunks: tuple | None
) -> None:
    def fill() -> None:
        with writing(small_disk / "x.hdf5") as target:
            target.file["small"] = np.arange(10)
            dataset = target.file.create_dataset("large", (4000, 1000), "u1", chunks=chunks)
            for row in range(0, 4000, 10):
                dataset[row : row + 10] = row % 256
                target.check()

    with pytest.raises(OSError, match="No space left"):
        fill()


def test_other_errors_while_writing_come_through(tmp_path: Path) -> None:
    def fail() -> None:
        with writing(tmp_path / "x.hdf5") as target:
            target.file["a"] = np.arange(10)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()


def test_what_is_written_is_what_h5py_reads(tmp_path: Path) -> None:
    with writing(tmp_path / "x.hdf5") as target:
        target.file["a/b"] = np.arange(100_000)
        target.file["a"].attrs["long"] = "x" * 300_000
    with h5py.File(tmp_path / "x.hdf5") as file:
        np.testing.assert_array_equal(file["a/b"][()], np.arange(100_000))
        assert file["a"].attrs["long"] == "x" * 300_000


def test_ctrl_c_in_whatever_hdf5_calls_is_raised_as_itself(
    tmp_path: Path, make_episode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HDF5's cleaning up would lose it, or make another error of it."""
    episode = make_episode(image=True)
    calls = 0
    strike = -1

    def counted(self: object, method: Callable[..., int], *arguments: object) -> int:
        nonlocal calls
        calls += 1
        if calls == strike:
            sys._clear_type_cache()  # what is looked up with an exception set is then not found
            signal.raise_signal(signal.SIGINT)
        return method(self, *arguments)

    file = safe_hdf5._WritesNeverFail
    for name in ("seek", "tell", "write", "readinto", "truncate"):
        monkeypatch.setattr(file, name, partialmethod(counted, getattr(file, name)))
    write_episode(episode, tmp_path / "whole.hdf5")
    for strike in range(1, calls + 1):
        calls = 0
        with pytest.raises(KeyboardInterrupt):
            write_episode(episode, tmp_path / f"struck_{strike}.hdf5")
    assert strike > 50
