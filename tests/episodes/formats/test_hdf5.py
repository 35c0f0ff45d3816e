from __future__ import annotations

import json
import resource
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from robolearn.episodes.episode import Episode
from robolearn.episodes.formats import hdf5_file, open_dataset
from robolearn.episodes.formats.hdf5 import read_episode, write_episode
from robolearn.episodes.formats.safe_hdf5 import member
from robolearn.errors import DatasetError


def write_and_read(episode: Episode, path: Path, **options: bool) -> Episode:
    write_episode(episode, path, **options)
    return read_episode(path)


@pytest.mark.parametrize("image", [False, True])
@pytest.mark.parametrize("compress_model", [False, True])
def test_everything_comes_back_bit_for_bit(
    tmp_path: Path, make_episode, image: bool, compress_model: bool
) -> None:
    written = make_episode(image=image)
    read = write_and_read(written, tmp_path / "e.hdf5", compress_model=compress_model)
    assert read.context == written.context
    assert read.outcome == written.outcome
    for name in ("agent", "operator", "notes", "recorded_at"):
        assert getattr(read, name) == getattr(written, name)
    pairs = [
        *((read.observations[name], values) for name, values in written.observations.items()),
        *((read.timestamps[name], values) for name, values in written.timestamps.items()),
        (read.actions, written.actions),
        (read.actions_asked, written.actions_asked),
        (read.rewards, written.rewards),
        (read.success, written.success),
        (read.interventions, written.interventions),
        *((read.images[name][:], values) for name, values in written.images.items()),
        (read.time, written.time),
    ]
    for got, expected in pairs:
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


def test_the_layout_is_robomimics(tmp_path: Path, make_episode) -> None:
    episode = make_episode(steps=7, image=True)
    write_episode(episode, tmp_path / "e.hdf5")
    with h5py.File(tmp_path / "e.hdf5") as file:
        demo = file["data/demo_0"]
        assert file["data"].attrs["total"] == demo.attrs["num_samples"] == 7
        assert '"env_name": "Line"' in file["data"].attrs["env_args"]
        assert demo.attrs["model_file"] == "<mujoco/>"
        assert set(demo["obs"]) == {"hand", "object", "front_image"}
        assert demo["actions"].shape == (7, 2)
        assert demo["rewards"].shape == (7,)
        assert demo["dones"][()].tolist() == [0] * 6 + [1]
        assert demo["obs/front_image"].chunks == (1, 6, 8, 3)


def test_streams_sensed_together_share_their_timestamps(tmp_path: Path, make_episode) -> None:
    write_episode(make_episode(), tmp_path / "e.hdf5")
    with h5py.File(tmp_path / "e.hdf5") as file:
        times = file["data/demo_0/robolearn/timestamps"]
        assert times["obs/hand"] == times["obs/object"]  # one object in the file


def test_a_file_of_robomimics_own_is_read(tmp_path: Path) -> None:
    path = tmp_path / "robomimic.hdf5"
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["env_args"] = (
            '{"env_name": "Lift", "type": 1, "env_kwargs": {"control_freq": 20}}'
        )
        for number, length in ((0, 3), (10, 4), (2, 5)):
            demo = data.create_group(f"demo_{number}")
            demo["actions"] = np.zeros((length, 7))
            demo["obs/object"] = np.ones((length, 10))
            demo["obs/robot0_eef_pos"] = np.ones((length, 3))
            demo["rewards"] = np.arange(length) == length - 1
        file["mask/valid"] = np.array(["demo_2"], dtype="S")
    dataset = open_dataset(path)
    assert [len(episode) for episode in dataset.episodes(dataset.split("all"))] == [3, 5, 4]
    assert (dataset.split("train"), dataset.split("valid")) == ([0, 2], [1])
    episode = dataset.episode(0)
    assert episode.context.rate == 20
    assert episode.context.action.gripper == (6,)
    assert episode.outcome.success
    assert episode.observations["observation.environment_state"].shape == (3, 10)


def test_lengths_that_disagree_are_refused(tmp_path: Path, make_episode) -> None:
    path = tmp_path / "e.hdf5"
    write_episode(make_episode(), path)
    with h5py.File(path, "a") as file:
        del file["data/demo_0/obs/hand"]
        file["data/demo_0/obs/hand"] = np.zeros((3, 2), np.float32)
    with pytest.raises(DatasetError, match=r"e\.hdf5: .*hand has 3 frames where actions has 12"):
        open_dataset(path).episode(0)


@pytest.mark.parametrize("missing", ["actions", "obs/hand", "robolearn/success"])
def test_a_missing_array_is_named(tmp_path: Path, make_episode, missing: str) -> None:
    path = tmp_path / "e.hdf5"
    write_episode(make_episode(), path)
    with h5py.File(path, "a") as file:
        del file[f"data/demo_0/{missing}"]
    with pytest.raises(DatasetError, match=rf"e\.hdf5: .*{missing.rsplit('/', maxsplit=1)[-1]}"):
        open_dataset(path).episode(0)


@pytest.mark.parametrize("kept", [0, 10, 500, 3000])
def test_a_truncated_file_is_named(tmp_path: Path, make_episode, kept: int) -> None:
    path = tmp_path / "e.hdf5"
    write_episode(make_episode(), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DatasetError, match=r"e\.hdf5"):
        open_dataset(path).episode(0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("no JSON", "description is damaged"),
        ("[" * 100_000, "description is damaged"),
        ({"rate": 0}, "rate: .*greater than 0"),
        ({"rate": "fast"}, "rate"),
        ({"seed": "x"}, "seed"),
        ({"agent": None}, "agent"),
        ({"task": ["a"]}, "task"),
        ({"outcome": {"steps": 3}}, "outcome"),
        ({"features": []}, "features"),
        ({"features": {"observation.state.hand": None}}, "no description of a feature"),
        (
            {"features": {"observation.state.hand": {"dtype": "float32", "shape": [10**12]}}},
            r"hand has frames of float32 \(2,\), not of float32 \(1000000000000,\)",
        ),
        ({"features": {"observation.state.hand": {"dtype": "O", "shape": [2]}}}, "of type O"),
        ({"action": {"dtype": "float32", "shape": [2]}}, "finite range"),
    ],
)
def test_a_hostile_description_is_refused(
    tmp_path: Path, make_episode, change: object, message: str
) -> None:
    path = tmp_path / "e.hdf5"
    write_episode(make_episode(), path)
    with h5py.File(path, "a") as file:
        attributes = file["data/demo_0/robolearn"].attrs
        text = (
            change
            if isinstance(change, str)
            else json.dumps(
                json.loads(attributes["description"]) | change  # type: ignore[operator]
            )
        )
        attributes["description"] = text
    with pytest.raises(DatasetError, match=rf"e\.hdf5: .*{message}"):
        open_dataset(path).episode(0)


@pytest.mark.parametrize(
    ("key", "array"),
    [
        ("obs/hand", np.zeros((12, 3), np.float32)),
        ("obs/hand", np.zeros((12, 2), "S3")),
        ("obs/hand", np.float32(1)),
        ("actions", np.zeros(12, np.float32)),
        ("rewards", np.zeros((12, 2))),
        ("robolearn/time", np.full(12, np.nan)),
        ("robolearn/time", np.zeros(12, "S3")),
        ("robolearn/success", np.zeros(5, bool)),
    ],
)
def test_an_array_of_another_form_is_refused(
    tmp_path: Path, make_episode, key: str, array: np.ndarray
) -> None:
    path = tmp_path / "e.hdf5"
    write_episode(make_episode(), path)
    with h5py.File(path, "a") as file:
        del file[f"data/demo_0/{key}"]
        file[f"data/demo_0/{key}"] = array
    with pytest.raises(DatasetError, match=r"e\.hdf5: "):
        open_dataset(path).episode(0)


def test_a_declared_size_that_does_not_fit_into_memory_is_refused(
    tmp_path: Path, make_episode
) -> None:
    path = tmp_path / "e.hdf5"
    write_episode(make_episode(), path)
    with h5py.File(path, "a") as file:
        del file["data/demo_0/actions"]
        file.create_dataset("data/demo_0/actions", (10**12, 2), "float32", chunks=(1000, 2))
    with pytest.raises(DatasetError, match=r"e\.hdf5: "):
        open_dataset(path).episode(0)


def test_who_is_in_which_split_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "many.hdf5"
    with h5py.File(path, "w") as file:
        for number in range(30):
            file[f"data/demo_{number}/actions"] = np.zeros((2, 2))
        file["mask/valid"] = np.array([f"demo_{number}" for number in range(0, 30, 2)], "S")
    asked = []

    def counted(group: h5py.Group, key: str) -> object:
        asked.append(key)
        return member(group, key)

    monkeypatch.setattr(hdf5_file, "member", counted)
    dataset = open_dataset(path)
    assert len(asked) < 30  # not once an episode, each time of all episodes
    assert dataset.split("valid") == list(range(0, 30, 2))


@pytest.mark.parametrize("mask", [np.zeros(2), np.array([["demo_0"]], "S")])
def test_a_mask_that_is_no_list_of_names_is_refused(
    tmp_path: Path, make_episode, mask: np.ndarray
) -> None:
    write_episode(make_episode(), tmp_path / "e.hdf5")
    with h5py.File(tmp_path / "e.hdf5", "a") as file:
        file["mask/valid"] = mask
    with pytest.raises(DatasetError, match=r"e\.hdf5: mask/valid is no list of names"):
        open_dataset(tmp_path / "e.hdf5")


@pytest.mark.parametrize("key", ["actions", "obs/hand", "rewards", "robolearn/time"])
def test_what_unpacks_to_more_than_an_episode_needs_is_not_read(
    tmp_path: Path, make_episode, key: str
) -> None:
    """Zeros take a thousandth of their size in the file."""
    path, frames = tmp_path / "bomb.hdf5", 1 << 16
    write_episode(make_episode(), path)
    packed = zlib.compress(bytes(frames * 64), 9)
    with h5py.File(path, "a") as file:
        demo = file["data/demo_0"]
        del demo[key]
        shape, chunks = (frames * 320, 16), (frames, 16)
        bomb = demo.create_dataset(key, shape, "f4", chunks=chunks, compression="gzip")
        for first in range(0, len(bomb), frames):
            bomb.id.write_direct_chunk((first, 0), packed)
    assert path.stat().st_size < 3 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(
        DatasetError,
        match=rf"bomb\.hdf5: {key.removeprefix('robolearn/')} .* no more than 1024 MiB",
    ):
        open_dataset(path).episode(0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + (256 << 10)


def test_images_of_no_size_are_refused(tmp_path: Path, make_episode) -> None:
    """They would cost nothing in the file, however many they are."""
    write_episode(make_episode(image=True), tmp_path / "e.hdf5")
    with h5py.File(tmp_path / "e.hdf5", "a") as file:
        del file["data/demo_0/obs/front_image"]
        file.create_dataset("data/demo_0/obs/front_image", (10**8, 0, 3, 3), "u1")
    with pytest.raises(DatasetError, match=r"e\.hdf5: .*no size"):
        open_dataset(tmp_path / "e.hdf5").episode(0)


def test_actions_that_are_no_vectors_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "e.hdf5", "w") as file:
        file["data/demo_0/actions"] = np.zeros(5)
    with pytest.raises(DatasetError, match=r"e\.hdf5: actions .* not vectors"):
        open_dataset(tmp_path / "e.hdf5").episode(0)
