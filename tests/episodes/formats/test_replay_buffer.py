"""Replay buffers of Diffusion Policy and UMI."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from robolearn.episodes.dataset import is_valid
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.formats.replay_buffer import ReplayBufferDataset, ReplayBufferWriter
from robolearn.episodes.formats.zarr_arrays import register_image_codecs
from robolearn.episodes.frames import EpisodeContext, Outcome
from robolearn.episodes.images import StoredSequence
from robolearn.errors import DatasetError, FeatureMismatch, FolderInUse


class DiffusionPolicysReader:
    """What Diffusion Policy's `ReplayBuffer` does with a store, by plain zarr."""

    def __init__(self, path: Path) -> None:
        register_image_codecs()
        store = zarr.storage.ZipStore(path, mode="r") if path.suffix == ".zip" else str(path)
        root = zarr.open_group(store, mode="r", zarr_format=2)
        self.meta = {key: value[:] for key, value in root["meta"].members()}
        self.data = {key: value[:] for key, value in root["data"].members()}
        self.chunks = {key: value.chunks for key, value in root["data"].members()}
        ends = self.meta["episode_ends"]
        assert all(len(values) == ends[-1] for values in self.data.values())
        self.spans = list(zip([0, *ends[:-1]], ends, strict=True))

    def episode(self, index: int) -> dict[str, np.ndarray]:
        return {key: values[slice(*self.spans[index])] for key, values in self.data.items()}


class Sparing(StoredSequence):
    """Images that remember how many frames they were asked for at once."""

    def __init__(self, images: np.ndarray) -> None:
        super().__init__(images.shape)
        self.images = images
        self.most = 0

    def _read(self, first: int, stop: int) -> np.ndarray:
        self.most = max(self.most, stop - first)
        return self.images[first:stop]


def assert_same(one: Episode, other: Episode) -> None:
    assert other.context == one.context
    for name in ("outcome", "agent", "operator", "notes", "recorded_at"):
        assert getattr(other, name) == getattr(one, name), name
    for name in ("actions", "actions_asked", "rewards", "success", "interventions", "time"):
        assert_bits(getattr(one, name), getattr(other, name), name)
    assert one.observations.keys() == other.observations.keys()
    for name, values in one.observations.items():
        assert_bits(values, other.observations[name], name)
    for name, values in one.images.items():
        assert_bits(values[:], other.images[name][:], name)
    for name, times in one.timestamps.items():
        assert_bits(times, other.timestamps[name], name)


def assert_bits(one: np.ndarray, other: np.ndarray, name: str) -> None:
    assert one.dtype == other.dtype, name
    assert one.shape == other.shape, name
    assert one.tobytes() == other.tobytes(), name


def write(path: Path, episodes, **options) -> Path:
    with ReplayBufferWriter(path, **options) as writer:
        for episode in episodes:
            writer.add(episode)
    return path


def set_header(array: Path, **values) -> None:
    header = json.loads((array / ".zarray").read_text())
    (array / ".zarray").write_text(json.dumps(header | values))


@pytest.fixture
def episodes(make_episode):
    return [make_episode(steps=5 + seed, seed=seed, image=True) for seed in range(3)]


@pytest.fixture
def buffer(tmp_path, episodes):
    return write(tmp_path / "line.zarr", episodes)


@pytest.fixture
def foreign(tmp_path):
    """As Diffusion Policy's PushT has it: float images, several frames a chunk, no description."""
    random = np.random.default_rng(0)
    root = zarr.create_group(str(tmp_path / "pusht.zarr"), zarr_format=2)
    data = {
        "action": random.uniform(0, 512, (9, 2)).astype(np.float32),
        "state": random.uniform(0, 1, (9, 5)).astype(np.float32),
        "keypoint": random.uniform(0, 1, (9, 9, 2)).astype(np.float32),
        "img": random.integers(0, 256, (9, 6, 8, 3)).astype(np.float32),
    }
    for key, values in data.items():
        chunks = (4, *values.shape[1:])
        root.create_array(f"data/{key}", data=values, chunks=chunks, compressors=numcodecs.Blosc())
    root.create_array("meta/episode_ends", data=np.array([4, 9]))
    return tmp_path / "pusht.zarr", data


@pytest.mark.parametrize("name", ["line.zarr", "line.zarr.zip"])
@pytest.mark.parametrize("images", ["lossless", "raw"])
def test_episodes_come_back_bit_for_bit(tmp_path, episodes, name, images):
    with ReplayBufferWriter(tmp_path / name, images=images) as writer:
        numbers = [
            writer.add(episode, valid=valid)
            for episode, valid in zip(episodes, [True, None, False], strict=True)
        ]
    dataset = ReplayBufferDataset(tmp_path / name)
    assert numbers == [0, 1, 2]
    assert [summary.valid for summary in dataset.summaries] == [True, False, False]
    assert [summary.frames for summary in dataset.summaries] == [5, 6, 7]
    assert dataset.summaries[1].operator == "Ada"
    assert dataset.context == episodes[0].context
    for index, episode in enumerate(episodes):
        assert_same(episode, dataset.episode(index))
    assert writer.left_out == set()
    assert [path.name for path in tmp_path.iterdir()] == [name]


@settings(max_examples=15, deadline=None)
@given(
    steps=st.lists(st.integers(1, 300), min_size=1, max_size=3),
    dtype=st.sampled_from(["float32", "float64", "int16", "uint8", "bool"]),
    shape=st.sampled_from([(), (1,), (7,), (3, 2), (40, 50)]),
)
def test_any_vectors_come_back(tmp_path_factory, make_line, steps, dtype, shape):
    episodes = [make_line(count, dtype, shape, seed) for seed, count in enumerate(steps)]
    path = write(tmp_path_factory.mktemp("any") / "any.zarr", episodes)
    dataset = ReplayBufferDataset(path)
    for index, episode in enumerate(episodes):
        assert_same(episode, dataset.episode(index))


@pytest.fixture(scope="module")
def make_line():
    def make(steps: int, dtype: str, shape: tuple[int, ...], seed: int) -> Episode:
        random = np.random.default_rng(seed)
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize * steps
        data = random.integers(0, 2 if dtype == "bool" else 256, size).astype(np.uint8).tobytes()
        values = np.frombuffer(data, dtype).reshape(steps, *shape)
        times = random.uniform(0, 1e5, (3, steps))
        features = {
            "observation.state.x": Feature(dtype, shape),
            "simulator_state": Feature(dtype, shape),
        }
        return Episode(
            context=EpisodeContext(
                features,
                ActionFeature("float64", (2,), low=(-1, -1), high=(1, 1)),
                "ü",
                12.5,
                {},
                None,
                None,
            ),
            observations=dict.fromkeys(features, values),
            actions=random.normal(size=(steps, 2)),
            actions_asked=random.normal(size=(steps, 2)),
            rewards=random.normal(size=steps),
            success=random.random(steps) < 0.5,
            interventions=random.random(steps) < 0.5,
            time=times[0],
            timestamps=dict(zip([*features, "action"], times, strict=True)),
            outcome=Outcome(steps, None, None, "interrupted"),
            agent="a",
            recorded_at=None,
        )

    return make


def test_diffusion_policy_reads_it(buffer, episodes):
    theirs = DiffusionPolicysReader(buffer)
    assert theirs.meta.keys() == {"episode_ends"}
    assert theirs.data.keys() == {"action", "hand", "environment_state", "front"}
    assert theirs.chunks["front"] == (1, 6, 8, 3)
    for index, episode in enumerate(episodes):
        found = theirs.episode(index)
        np.testing.assert_array_equal(found["action"], episode.actions)
        np.testing.assert_array_equal(found["hand"], episode.observations["observation.state.hand"])
        np.testing.assert_array_equal(found["front"], episode.images["observation.images.front"])


@pytest.mark.parametrize("images", ["jpegxl", "jpeg2k"])
def test_umi_reads_its_codecs_in_a_zip(tmp_path, make_episode, images):
    episode = make_episode(image=True)
    ramp = np.arange(32, dtype=np.uint8)[:, None, None] * np.ones((1, 32, 3), np.uint8) * 7
    smooth = np.stack([ramp + step for step in range(len(episode))]).astype(np.uint8)
    features = dict(episode.context.features)
    features["observation.images.front"] = replace(
        features["observation.images.front"], shape=(32, 32, 3)
    )
    episode = replace(
        episode,
        images={"observation.images.front": smooth},
        context=replace(episode.context, features=features),
    )
    path = write(tmp_path / "line.zarr.zip", [episode], images=images)

    theirs = DiffusionPolicysReader(path).episode(0)["front"]
    ours = ReplayBufferDataset(path).episode(0).images["observation.images.front"]
    np.testing.assert_array_equal(ours[:], theirs)
    assert np.abs(theirs.astype(int) - smooth).mean() < 2
    with zipfile.ZipFile(path) as file:
        compressor = json.loads(file.read("data/front/.zarray"))["compressor"]
    # UMI's own class of the codec takes no others.
    known = {"id", "level", "effort", "distance", "lossless", "decodingspeed", "photometric"}
    known |= {"planar", "usecontainer", "index", "keeporientation", "numthreads"}
    known |= {
        "codecformat",
        "colorspace",
        "tile",
        "reversible",
        "bitspersample",
        "resolutions",
        "verbose",
    }
    assert compressor.keys() <= known | ({"mct"} if images == "jpeg2k" else set())
    assert compressor["id"] == f"imagecodecs_{images}"


@pytest.mark.parametrize("codec", ["jpegxl", "jpeg2k", "jpeg"])
@pytest.mark.parametrize("suffix", [".zarr", ".zarr.zip"])
def test_what_umi_wrote_is_read(tmp_path, codec, suffix):
    register_image_codecs()
    image = np.tile(np.arange(16, dtype=np.uint8)[:, None, None] * 9, (5, 1, 20, 3))
    compressor = numcodecs.get_codec({"id": f"imagecodecs_{codec}", "level": 99})
    path = tmp_path / f"umi{suffix}"
    store = zarr.storage.ZipStore(path, mode="w") if suffix.endswith("zip") else str(path)
    root = zarr.create_group(store, zarr_format=2)
    root.create_array("data/camera0_rgb", data=image, chunks=(1, 16, 20, 3), compressors=compressor)
    root.create_array("data/robot0_eef_pos", data=np.ones((5, 3), np.float32))
    root.create_array("data/action", data=np.ones((5, 7), np.float32))
    root.create_array("meta/episode_ends", data=np.array([2, 5]))
    if suffix.endswith("zip"):
        root.store.close()
    episode = ReplayBufferDataset(path).episode(1)
    decode = getattr(imagecodecs, f"{codec}_decode")
    expected = decode(compressor.encode(image[:1]))
    np.testing.assert_array_equal(
        episode.images["observation.images.camera0_rgb"][1:2][0], expected
    )
    assert episode.observations["observation.state.robot0_eef_pos"].shape == (3, 3)


def test_what_diffusion_policy_wrote_is_read(foreign):
    path, data = foreign
    dataset = ReplayBufferDataset(path)
    episode = dataset.episode(1)
    np.testing.assert_array_equal(episode.actions, data["action"][4:])
    np.testing.assert_array_equal(episode.observations["observation.state"], data["state"][4:])
    np.testing.assert_array_equal(
        episode.observations["observation.state.keypoint"], data["keypoint"][4:]
    )
    assert episode.images["observation.image"][:].dtype == np.uint8
    np.testing.assert_array_equal(episode.images["observation.image"][1:4], data["img"][5:8])
    assert episode.outcome.success is None
    assert episode.context.action.high[0] == data["action"][:, 0].max()
    assert [summary.valid for summary in dataset.summaries] == [is_valid(0), is_valid(1)]


def test_what_diffusion_policy_wrote_comes_back_under_its_names(tmp_path, foreign):
    path, data = foreign
    dataset = ReplayBufferDataset(path)
    copy = write(tmp_path / "copy.zarr", dataset.episodes(range(2)))
    theirs = DiffusionPolicysReader(copy)
    assert theirs.data.keys() == data.keys()
    for key, values in data.items():
        np.testing.assert_array_equal(theirs.data[key], values)


def test_float_images_that_are_no_images_are_refused(foreign):
    path, _ = foreign
    zarr.open_group(str(path))["data/img"][3] = 0.5
    images = ReplayBufferDataset(path).episode(0).images["observation.image"]
    assert images[:3].shape == (3, 6, 8, 3)
    with pytest.raises(DatasetError, match=r"data/img .* whole numbers"):
        images[3:4]


def test_images_are_read_and_written_a_few_at_a_time(tmp_path, make_episode):
    episode = make_episode(steps=200, image=True)
    images = Sparing(episode.images["observation.images.front"])
    episode = replace(episode, images={"observation.images.front": images})
    path = write(tmp_path / "line.zarr", [episode])
    assert 0 < images.most <= 32
    assert_same(episode, ReplayBufferDataset(path).episode(0))


def test_a_text_that_repeats_is_written_once(tmp_path, make_episode):
    big = [
        replace(e, context=replace(e.context, model_file="<" + 1000 * "m"))
        for e in map(make_episode, [3] * 4)
    ]
    path = write(tmp_path / "line.zarr", big)
    assert zarr.open_group(str(path))["robolearn/models"].shape == (1001,)
    assert ReplayBufferDataset(path).episode(3).context.model_file == "<" + 1000 * "m"


def test_a_buffer_is_gone_on_with(buffer, episodes, make_episode):
    more = make_episode(steps=4, seed=9, image=True)
    with ReplayBufferWriter(buffer) as writer:
        assert writer.add(more) == 3
    dataset = ReplayBufferDataset(buffer)
    for index, episode in enumerate([*episodes, more]):
        assert_same(episode, dataset.episode(index))
    DiffusionPolicysReader(buffer)


@pytest.mark.parametrize("first", [True, False])
def test_half_an_episode_is_never_there(tmp_path, make_episode, first):
    """An error stands for a kill: nothing is put right after it."""
    path = tmp_path / "line.zarr"
    whole, broken = make_episode(seed=1, image=True), make_episode(steps=20, seed=2, image=True)

    class Broken(Sparing):
        def __getitem__(self, frames):
            raise DatasetError("cannot be read")

    broken = replace(
        broken,
        images={"observation.images.front": Broken(broken.images["observation.images.front"])},
    )
    writer = ReplayBufferWriter(path).__enter__()
    if not first:
        writer.add(whole)
    with pytest.raises(DatasetError, match="cannot be read"):
        writer.add(broken)
    writer._claim.close()  # as if killed

    if not first:
        assert zarr.open_group(str(path))["data/hand"].shape[0] > len(whole)
        assert_same(whole, ReplayBufferDataset(path).episode(0))
    again = make_episode(steps=3, seed=3, image=True)
    with ReplayBufferWriter(path) as writer:
        writer.add(again)
    dataset = ReplayBufferDataset(path)
    kept = [again] if first else [whole, again]
    assert len(dataset) == len(kept)
    for index, episode in enumerate(kept):
        assert_same(episode, dataset.episode(index))
    DiffusionPolicysReader(path)


@pytest.mark.parametrize("name", ["line.zarr", "line.zarr.zip"])
def test_nothing_is_left_of_what_was_never_whole(tmp_path, make_episode, name):
    def interrupted() -> None:
        with ReplayBufferWriter(tmp_path / name) as writer:
            if name.endswith("zip"):
                writer.add(make_episode())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_what_another_zip_writer_left_is_begun_anew(tmp_path, make_episode):
    writer = ReplayBufferWriter(tmp_path / "line.zarr.zip").__enter__()
    writer.add(make_episode(seed=1))
    writer._claim.close()
    path = write(tmp_path / "line.zarr.zip", [make_episode(seed=2)])
    assert len(ReplayBufferDataset(path)) == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["line.zarr", "line.zarr.zip"])
def test_a_kill_at_any_removal_does_not_block_the_name(tmp_path, monkeypatch, name):
    """What is left is still known to be a replay buffer that was never whole."""
    path, left, unlink, rmdir = tmp_path / name, [0], os.unlink, os.rmdir

    def until_killed(remove):
        def removal(*args, **options):
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            remove(*args, **options)

        return removal

    def stopped_after(removals: int) -> bool:
        left[0] = 1000
        writer = ReplayBufferWriter(path)
        left[0] = removals
        try:
            writer.__exit__(None, None, None)
        except KeyboardInterrupt:
            return True
        return False

    monkeypatch.setattr(os, "unlink", until_killed(unlink))
    monkeypatch.setattr(os, "rmdir", until_killed(rmdir))
    removals = 0
    while stopped_after(removals):
        removals += 1
    assert removals > 5
    assert list(tmp_path.iterdir()) == []


def test_a_kill_before_the_marker_does_not_block_the_name(tmp_path, make_episode):
    own = tmp_path / "line.zarr" / "robolearn"
    own.mkdir(parents=True)
    (own / "..zgroup.part").touch()
    write(tmp_path / "line.zarr", [make_episode()])
    mine = tmp_path / "other.zarr" / "robolearn"
    mine.mkdir(parents=True)
    (mine / "notes").touch()
    with pytest.raises(FolderInUse, match="holds no replay buffer"):
        ReplayBufferWriter(tmp_path / "other.zarr")
    assert (mine / "notes").exists()


def test_other_features_are_refused(buffer, make_episode):
    with ReplayBufferWriter(buffer) as writer:
        with pytest.raises(FeatureMismatch, match="other observation"):
            writer.add(make_episode(image=False))


def test_two_writers_are_refused(buffer):
    with ReplayBufferWriter(buffer):
        with pytest.raises(FolderInUse, match="another process"):
            ReplayBufferWriter(buffer)


def test_what_others_made_is_not_written_to(tmp_path, foreign):
    before = sorted(p for p in foreign[0].rglob("*"))
    with pytest.raises(FolderInUse, match="holds no replay buffer"):
        ReplayBufferWriter(foreign[0])
    assert sorted(p for p in foreign[0].rglob("*")) == before
    (tmp_path / "x.zarr.zip").write_bytes(b"mine")
    with pytest.raises(FolderInUse, match="exists; a zip"):
        ReplayBufferWriter(tmp_path / "x.zarr.zip")


def test_episodes_that_another_program_added_are_read(buffer):
    """As Diffusion Policy's `add_episode` does it."""
    root = zarr.open_group(str(buffer))
    for _, array in root["data"].arrays():
        array.resize((array.shape[0] + 2, *array.shape[1:]))
    ends = root["meta/episode_ends"]
    ends.resize((4,))
    ends[-1] = 20
    dataset = ReplayBufferDataset(buffer)
    assert dataset.summaries[2].agent == "numbers"
    assert dataset.summaries[3].agent == "unknown"
    assert len(dataset.episode(3)) == 2
    with pytest.raises(DatasetError, match="another program"):
        ReplayBufferWriter(buffer)


def test_episodes_that_another_program_moved_are_told(buffer):
    ends = zarr.open_group(str(buffer))["meta/episode_ends"]
    ends[0] = 4
    with pytest.raises(DatasetError, match="delete that folder"):
        ReplayBufferDataset(buffer)


@pytest.mark.parametrize(
    ("array", "header", "message"),
    [
        ("data/hand", {"dtype": "|O"}, "only numbers"),
        ("data/hand", {"dtype": [["a", "<f4"]]}, "only numbers"),
        ("data/hand", {"filters": [{"id": "pickle"}]}, "filtered"),
        ("data/hand", {"compressor": {"id": "pickle"}}, "'pickle'"),
        ("data/hand", {"compressor": "blosc"}, "compressor"),
        ("data/hand", {"dtype": "f4,("}, "only numbers"),
        ("data/hand", {"compressor": {"id": []}}, "compressor"),
        ("data/hand", {"compressor": [1]}, "compressor"),
        ("data/hand", {"fill_value": [1, 2]}, "fill value"),
        ("data/hand", {"chunks": [1 << 30, 2]}, "too much"),
        ("data/hand", {"chunks": [0, 2]}, "sizes"),
        ("data/hand", {"shape": [18]}, "chunks"),
        ("data/hand", {"shape": [17, 2]}, "17 rows where 18"),
        ("data/hand", {"shape": [18, 1 << 40]}, "not float32|does not fit|lacks"),
        ("data/hand", {"zarr_format": 3}, "format"),
        ("meta/episode_ends", {"shape": [1 << 40]}, "at most"),
        ("meta/episode_ends", {"dtype": "<f8"}, "whole numbers"),
        ("robolearn/timestamps", {"shape": [18, 3]}, "streams"),
        ("robolearn/rewards", {"shape": [18, 4], "chunks": [4096, 4]}, "not one finite"),
    ],
)
def test_hostile_headers_are_refused(buffer, array, header, message):
    set_header(buffer / array, **header)
    with pytest.raises(DatasetError, match=f"line.zarr: .*({message})"):
        ReplayBufferDataset(buffer).episode(0)


@pytest.mark.parametrize(
    ("array", "header", "message"),
    [
        ("data/hand", {"dtype": "|O"}, "only numbers"),
        ("data/hand", {"compressor": {"id": "pickle"}}, "'pickle'"),
        ("data/hand", {"filters": [{"id": "pickle"}]}, "filtered"),
        ("robolearn/models", {"filters": [{"id": "pickle"}]}, "filtered"),
    ],
)
def test_hostile_headers_are_refused_before_zarr_sees_them(
    buffer, monkeypatch, array, header, message
):
    set_header(buffer / array, **header)
    monkeypatch.setattr(zarr, "open_group", None)
    with pytest.raises(DatasetError, match=f"line.zarr: .*({message})"):
        ReplayBufferWriter(buffer)


def test_what_is_consolidated_is_not_believed(buffer, make_episode):
    """zarr would take the arrays' headers from there."""
    header = json.loads((buffer / "data/hand/.zarray").read_text())
    metadata = {
        ".zgroup": {"zarr_format": 2},
        "data/.zgroup": {"zarr_format": 2},
        "data/hand/.zarray": header | {"dtype": "|O", "filters": [{"id": "pickle"}]},
    }
    consolidated = {"zarr_consolidated_format": 1, "metadata": metadata}
    (buffer / ".zmetadata").write_text(json.dumps(consolidated))
    with ReplayBufferWriter(buffer) as writer:
        assert writer.add(make_episode(image=True)) == 3


def test_a_codec_that_cannot_encode_is_told(buffer, make_episode):
    """It may decode what is there."""
    set_header(buffer / "data/action", compressor={"id": "blosc", "cname": {}})
    assert len(ReplayBufferDataset(buffer).episode(0)) == 5
    with ReplayBufferWriter(buffer) as writer:
        with pytest.raises(DatasetError, match="data/action cannot be encoded"):
            writer.add(make_episode(image=True))
    assert len(ReplayBufferDataset(buffer)) == 3


@pytest.mark.parametrize("content", ["[" * 100_000, "3", "{", '{"zarr_format": 7}'])
def test_what_zarr_cannot_open_is_told(buffer, content):
    (buffer / "data/.zgroup").write_text(content)
    with pytest.raises(DatasetError, match=r"line.zarr: zarr cannot open it: "):
        ReplayBufferWriter(buffer)


@pytest.mark.parametrize("end", [1 << 40, 90_000_000])
def test_what_is_declared_and_not_there_takes_no_memory(tmp_path, end):
    root = zarr.create_group(str(tmp_path / "huge.zarr"), zarr_format=2)
    root.create_array("data/action", shape=(1 << 40, 8), chunks=(16, 8), dtype="f8")
    root.create_array("meta/episode_ends", data=np.array([end]))
    with pytest.raises(DatasetError, match=r"huge.zarr: .*(lacks|more than)"):
        ReplayBufferDataset(tmp_path / "huge.zarr").episode(0)


@pytest.mark.parametrize("ends", [[5, 5, 18], [0, 5], [-1, 18], [9, 3], [5, 11, 19]])
def test_ends_that_make_no_sense_are_refused(foreign, ends):
    root = zarr.open_group(str(foreign[0]))
    root.create_array("meta/episode_ends", data=np.array(ends), overwrite=True)
    with pytest.raises(DatasetError, match=r"pusht.zarr: "):
        ReplayBufferDataset(foreign[0])


@pytest.mark.parametrize("name", ["data/hand", "data/hand/0.0", "robolearn", "meta"])
def test_links_are_not_followed(tmp_path, buffer, name):
    place = buffer / name
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match=r"line.zarr: .*(link|cannot be read)"):
        ReplayBufferDataset(buffer).episode(0)


def test_a_pipe_is_no_chunk(buffer):
    (buffer / "data/hand/0.0").unlink()
    os.mkfifo(buffer / "data/hand/0.0")
    with pytest.raises(DatasetError, match="no file"):
        ReplayBufferDataset(buffer).episode(0)


def test_a_zip_that_names_files_outside_is_refused(tmp_path, buffer):
    with zipfile.ZipFile(tmp_path / "bad.zarr.zip", "w") as file:
        for place in sorted(buffer.rglob("*")):
            if place.is_file():
                file.write(place, place.relative_to(buffer))
        file.writestr("../outside", b"")
    with pytest.raises(DatasetError, match=r"bad.zarr.zip: .*outside"):
        ReplayBufferDataset(tmp_path / "bad.zarr.zip")


def test_a_zip_bomb_is_refused(tmp_path, buffer):
    with zipfile.ZipFile(tmp_path / "bomb.zarr.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for place in sorted(buffer.rglob("*")):
            if place.is_file() and place != buffer / "data/hand/0.0":
                file.write(place, place.relative_to(buffer))
        file.writestr("data/hand/0.0", bytes(1 << 24))
    with pytest.raises(DatasetError, match=r"data/hand/0.0 has 16777216 bytes"):
        ReplayBufferDataset(tmp_path / "bomb.zarr.zip").episode(0)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + bytes(50)])
def test_what_is_no_zip_is_told(tmp_path, content):
    (tmp_path / "x.zarr.zip").write_bytes(content)
    with pytest.raises(DatasetError, match=r"x.zarr.zip: .*zip"):
        ReplayBufferDataset(tmp_path / "x.zarr.zip")


def test_zarrs_format_3_is_told(tmp_path):
    zarr.create_group(str(tmp_path / "new.zarr"), zarr_format=3)
    with pytest.raises(DatasetError, match="format 3"):
        ReplayBufferDataset(tmp_path / "new.zarr")


def test_a_damaged_image_is_named(buffer):
    chunk = buffer / "data/front/6.0.0.0"
    chunk.write_bytes(chunk.read_bytes()[:20])
    images = ReplayBufferDataset(buffer).episode(1).images["observation.images.front"]
    images[:1]
    with pytest.raises(DatasetError, match=r"line.zarr: data/front/6.0.0.0 is damaged"):
        images[1:2]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_flipped_bits_raise_nothing_else(damaged, data):
    path, files = damaged
    file = data.draw(st.sampled_from(files))
    kept = file.read_bytes()
    content = bytearray(kept)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(content[: data.draw(st.just(len(content)) | st.integers(0, len(content)))])
    try:
        assert str(path) in read_all(path)
    finally:
        file.write_bytes(kept)


def read_all(path: Path) -> str:
    """What is said to be wrong; the path where nothing is."""
    try:
        dataset = ReplayBufferDataset(path)
        for index in range(len(dataset.summaries)):
            for images in dataset.episode(index).images.values():
                images[:]
    except DatasetError as error:
        return str(error)
    return str(path)


@pytest.fixture(scope="module", params=["lossless", "jpegxl", "jpeg2k"])
def damaged(request, tmp_path_factory, make_line):
    episode = make_line(3, "float32", (2,), 0)
    features = {**episode.context.features, "observation.image": Feature("uint8", (6, 8, 3))}
    episode = replace(
        episode,
        context=replace(episode.context, features=features),
        images={"observation.image": np.zeros((3, 6, 8, 3), np.uint8)},
        timestamps=dict.fromkeys((*features, "action"), episode.time),
    )
    path = write(tmp_path_factory.mktemp("damaged") / "line.zarr", [episode], images=request.param)
    files = [file for file in path.rglob("*") if file.is_file() and file.stat().st_size]
    return path, sorted(files)
