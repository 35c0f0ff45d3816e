"""LeRobot's datasets, version 3."""

from __future__ import annotations

import contextlib
import gc
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.formats.lerobot_v3 import LeRobotV3Dataset, LeRobotV3Writer
from robolearn.episodes.frames import EpisodeContext, Outcome
from robolearn.episodes.images import StoredSequence
from robolearn.errors import DatasetError, FeatureMismatch, FolderInUse

FRONT = "observation.images.front"


class Sparing(StoredSequence):
    """Images that remember how many frames they were asked for at once."""

    def __init__(self, images: np.ndarray) -> None:
        super().__init__(images.shape)
        self.images = images
        self.most = 0

    def _read(self, first: int, stop: int) -> np.ndarray:
        self.most = max(self.most, stop - first)
        return self.images[first:stop]


def assert_same(one: Episode, other: Episode, images: bool = True) -> None:
    assert other.context == one.context
    for name in ("outcome", "agent", "operator", "notes", "recorded_at"):
        assert getattr(other, name) == getattr(one, name), name
    for name in ("actions", "actions_asked", "rewards", "success", "interventions", "time"):
        assert_bits(getattr(one, name), getattr(other, name), name)
    assert one.observations.keys() == other.observations.keys()
    for name, values in one.observations.items():
        assert_bits(values, other.observations[name], name)
    for name, times in one.timestamps.items():
        assert_bits(times, other.timestamps[name], name)
    for name, values in one.images.items():
        assert other.images[name].shape == values.shape
        if images:
            assert_bits(values[:], other.images[name][:], name)


def assert_bits(one: np.ndarray, other: np.ndarray, name: str) -> None:
    assert one.dtype == other.dtype, name
    assert one.shape == other.shape, name
    assert one.tobytes() == other.tobytes(), name


def rich(episode: Episode, seed: int) -> Episode:
    """With a second camera, and features of every form."""
    random = np.random.default_rng(seed)
    length = len(episode)
    added = {
        "observation.state.arm": Feature("float64", (3,)),
        "observation.state.touched": Feature("bool", (2,)),
        "observation.state.keypoint": Feature("float32", (4, 2)),
        "observation.state.count": Feature("int64", ()),
        "simulator_state": Feature("float64", (5,)),
        "observation.images.side_depth": Feature("float32", (4, 10, 1)),
    }
    side = Feature("uint8", (4, 10, 3))
    features = {**episode.context.features, **added, "observation.images.side": side}
    observations = {
        name: (random.normal(size=(length, *form.shape)) * 9).astype(form.dtype)
        for name, form in added.items()
    }
    times = random.uniform(0, 1e5, (len(features) + 1, length))
    return replace(
        episode,
        context=replace(episode.context, features=features, model_file="<mujoco/>" * seed or None),
        observations={**episode.observations, **observations},
        images={
            **episode.images,
            "observation.images.side": random.integers(0, 256, (length, 4, 10, 3), np.uint8),
        },
        rewards=random.normal(size=length),
        timestamps=dict(zip([*features, "action"], times, strict=True)),
    )


def line(steps: int, seed: int) -> Episode:
    random = np.random.default_rng(seed)
    features = {
        "observation.state.hand": Feature("float32", (2,), ("hand.x", "hand.y")),
        FRONT: Feature("uint8", (6, 8, 3)),
    }
    action = ActionFeature(
        "float32", (2,), ("x", "gripper"), low=(-1, -1), high=(1, 1), gripper=(1,)
    )
    actions = random.uniform(-1, 1, (2, steps, 2)).astype(np.float32)
    success = np.arange(steps) == steps - 1
    time = np.arange(steps) * 0.1
    return Episode(
        context=EpisodeContext(features, action, "go there", 10.0, {"type": 1}, None, seed),
        observations={"observation.state.hand": random.normal(size=(steps, 2)).astype(np.float32)},
        images={FRONT: random.integers(0, 256, (steps, 6, 8, 3), np.uint8)},
        actions=actions[0],
        actions_asked=actions[1],
        rewards=random.normal(size=steps).astype(np.float32),
        success=success,
        interventions=~success,
        time=time,
        timestamps=dict.fromkeys((*features, "action"), 1000 + time),
        outcome=Outcome(steps, True, True, "horizon"),
        agent="numbers",
        recorded_at="2026-01-02T03:04:05+00:00",
        operator="Ada",
        notes="ü",
    )


def smooth(length: int, seed: int) -> np.ndarray:
    """A video that says which frame it is."""
    ramp = np.linspace(20, 200, 64)[None, None, :, None] * np.ones((1, 48, 1, 3))
    steps = np.arange(length)[:, None, None, None] * 3 + seed * 10
    return (ramp + steps).clip(0, 255).astype(np.uint8)


def write(path: Path, episodes, **options) -> Path:
    with LeRobotV3Writer(path, **options) as writer:
        for number, episode in enumerate(episodes):
            assert writer.add(episode, valid=number == 0) == number
    return path


@pytest.fixture(scope="module")
def rich_episodes():
    return [rich(line(steps, seed), seed) for seed, steps in enumerate((5, 1, 30))]


@pytest.fixture(scope="module")
def rich_dataset(tmp_path_factory, rich_episodes):
    return write(tmp_path_factory.mktemp("rich") / "rich", rich_episodes)


@pytest.fixture(scope="module")
def video_episodes():
    episodes = []
    for seed, steps in enumerate((12, 7, 20)):
        episode = line(steps, seed)
        features = {**episode.context.features, FRONT: Feature("uint8", (48, 64, 3))}
        context = replace(episode.context, features=features)
        episodes.append(replace(episode, context=context, images={FRONT: smooth(steps, seed)}))
    return episodes


@pytest.fixture(scope="module")
def video_dataset(tmp_path_factory, video_episodes):
    return write(tmp_path_factory.mktemp("video") / "video", video_episodes, images="video")


@pytest.fixture
def copy(rich_dataset, tmp_path):
    return Path(shutil.copytree(rich_dataset, tmp_path / "copy"))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """A dataset of LeRobot's own, with no description of ours."""
    from lerobot.datasets import LeRobotDataset

    path = tmp_path_factory.mktemp("theirs") / "theirs"
    features = {
        "observation.state": {
            "dtype": "float32",
            "shape": (3,),
            "names": {"motors": ["a", "b", "c"]},
        },
        "observation.velocity": {"dtype": "float32", "shape": (1,), "names": None},
        "observation.image": {
            "dtype": "image",
            "shape": (3, 6, 8),
            "names": ["channels", "height", "width"],
        },
        "action": {"dtype": "float32", "shape": (2,), "names": ["x", "y"]},
        "next.success": {"dtype": "bool", "shape": (1,), "names": None},
        "words": {"dtype": "string", "shape": (1,), "names": None},
    }
    dataset = LeRobotDataset.create(
        "theirs", fps=15, features=features, root=path, use_videos=False
    )
    random = np.random.default_rng(0)
    frames = []
    for length, task in ((4, "go"), (3, "come")):
        for step in range(length):
            frame = {
                "observation.state": random.normal(size=3).astype(np.float32),
                "observation.velocity": random.normal(size=1).astype(np.float32),
                "observation.image": random.integers(0, 256, (6, 8, 3), np.uint8),
                "action": (random.normal(size=2) * 5).astype(np.float32),
                "next.success": np.array([step == 3]),
                "words": "hello",
            }
            frames.append(frame)
            dataset.add_frame({**frame, "task": task})
        dataset.save_episode()
    dataset.finalize()
    return path, frames


def test_episodes_come_back_bit_for_bit(rich_dataset, rich_episodes):
    dataset = LeRobotV3Dataset(rich_dataset)
    assert [summary.valid for summary in dataset.summaries] == [True, False, False]
    assert [summary.frames for summary in dataset.summaries] == [5, 1, 30]
    assert dataset.summaries[2].operator == "Ada"
    for index, episode in enumerate(rich_episodes):
        assert_same(episode, dataset.episode(index))
    assert [path.name for path in rich_dataset.parent.iterdir()] == ["rich"]


def test_lerobot_opens_it(rich_dataset, rich_episodes):
    from lerobot.datasets import LeRobotDataset

    theirs = LeRobotDataset("rich", root=rich_dataset)
    assert (theirs.num_episodes, theirs.num_frames, theirs.fps) == (3, 36, 10)
    names = theirs.meta.features["observation.state"]["names"]
    assert names == ["hand.x", "hand.y", "arm.0", "arm.1", "arm.2"]
    episode = rich_episodes[2]
    frame = theirs[6 + 4]
    assert frame["task"] == "go there"
    np.testing.assert_array_equal(frame["action"], episode.actions[4])
    arm = episode.observations["observation.state.arm"][4]  # LeRobot gives float32 of any type
    np.testing.assert_array_equal(frame["observation.state"][2:], arm.astype(np.float32))
    image = (frame[FRONT].numpy().transpose(1, 2, 0) * 255).round()
    np.testing.assert_array_equal(image, episode.images[FRONT][4])
    assert frame["next.reward"].item() == np.float32(episode.rewards[4])
    assert theirs[35]["next.done"]
    assert not theirs[34]["next.done"]


def test_lerobot_and_robolearn_see_the_same_video(video_dataset, video_episodes):
    from lerobot.datasets import LeRobotDataset

    theirs = LeRobotDataset("video", root=video_dataset, video_backend="pyav", return_uint8=True)
    ours = LeRobotV3Dataset(video_dataset)
    begin = 0
    for index, episode in enumerate(video_episodes):
        assert_same(episode, ours.episode(index), images=False)
        images = ours.episode(index).images[FRONT][:]
        for step in (0, 1, len(episode) - 1):
            frame = theirs[begin + step][FRONT].numpy().transpose(1, 2, 0)
            np.testing.assert_array_equal(images[step], frame)
        assert np.abs(images.astype(int) - episode.images[FRONT]).mean() < 1
        begin += len(episode)


def test_video_is_read_in_any_slices(video_dataset):
    images = LeRobotV3Dataset(video_dataset).episode(2).images[FRONT]
    whole = images[:]
    assert whole.shape == (20, 48, 64, 3)
    for first, stop in ((0, 3), (3, 9), (9, 10), (4, 6), (19, 20), (20, 20), (7, 20)):
        np.testing.assert_array_equal(images[first:stop], whole[first:stop])


def test_pictures_are_read_in_any_slices(rich_dataset, rich_episodes):
    images = LeRobotV3Dataset(rich_dataset).episode(2).images[FRONT]
    for first, stop in ((0, 3), (3, 20), (25, 30), (4, 6), (29, 30), (30, 30)):
        np.testing.assert_array_equal(
            images[first:stop], rich_episodes[2].images[FRONT][first:stop]
        )


def test_images_are_written_a_few_at_a_time(tmp_path, make_episode):
    episode = make_episode(steps=50, image=True)
    images = Sparing(episode.images[FRONT])
    write(tmp_path / "sparing", [replace(episode, images={FRONT: images})])
    assert 0 < images.most <= 8


def test_what_lerobot_recorded_is_read(theirs):
    path, frames = theirs
    dataset = LeRobotV3Dataset(path)
    assert [summary.task for summary in dataset.summaries] == ["go", "come"]
    context = dataset.context
    assert context.rate == 15
    assert context.features.keys() == {
        "observation.state",
        "observation.velocity",
        "observation.image",
    }
    assert context.features["observation.state"].names == ("a", "b", "c")
    assert context.features["observation.image"].shape == (6, 8, 3)
    actions = np.stack([frame["action"] for frame in frames])
    np.testing.assert_allclose(context.action.high, actions.max(axis=0).clip(min=1))
    first, second = dataset.episodes([0, 1])
    np.testing.assert_array_equal(second.actions, actions[4:])
    np.testing.assert_array_equal(
        first.images["observation.image"][1:3], [f["observation.image"] for f in frames[1:3]]
    )
    np.testing.assert_array_equal(
        second.observations["observation.velocity"], [f["observation.velocity"] for f in frames[4:]]
    )
    assert (first.outcome.success, second.outcome.success) == (True, False)
    assert second.context.task == "come"


def test_what_lerobot_recorded_goes_over_as_it_is(theirs, tmp_path):
    dataset = LeRobotV3Dataset(theirs[0])
    copy = LeRobotV3Dataset(write(tmp_path / "copy", dataset.episodes([0, 1])))
    for index in range(2):
        assert_same(dataset.episode(index), copy.episode(index))


def test_reading_takes_neither_lerobot_nor_the_network(rich_dataset):
    code = (
        "import socket, sys, pathlib\n"
        "socket.socket.connect = None\n"
        "from robolearn.episodes.formats.lerobot_v3 import LeRobotV3Dataset\n"
        f"dataset = LeRobotV3Dataset(pathlib.Path({str(rich_dataset)!r}))\n"
        "dataset.episode(0).images['observation.images.front'][:]\n"
        "print(sorted({'lerobot', 'torch', 'datasets'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("images", ["png", "video"])
def test_writing_is_silent(tmp_path, video_episodes, capfd, images):
    write(tmp_path / "silent", video_episodes[:2], images=images)
    assert capfd.readouterr() == ("", "")


def test_rates_that_are_no_whole_numbers_are_refused(tmp_path, make_episode):
    episode = make_episode()
    episode = replace(episode, context=replace(episode.context, rate=12.5))
    with LeRobotV3Writer(tmp_path / "x") as writer:
        with pytest.raises(DatasetError, match=r"12.5 Hz"):
            writer.add(episode)
    assert list(tmp_path.iterdir()) == []


def test_other_features_are_refused(tmp_path, make_episode):
    with LeRobotV3Writer(tmp_path / "x") as writer:
        writer.add(make_episode())
        with pytest.raises(FeatureMismatch, match="other observation"):
            writer.add(make_episode(image=True))
    assert len(LeRobotV3Dataset(tmp_path / "x")) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "no space")])
def test_nothing_is_left_of_what_was_not_finished(tmp_path, make_episode, error):
    class Broken(Sparing):
        def __getitem__(self, frames):
            raise error

    episode = make_episode(image=True)

    def stopped() -> None:
        with LeRobotV3Writer(tmp_path / "x") as writer:
            writer.add(episode)
            writer.add(replace(episode, images={FRONT: Broken(episode.images[FRONT])}))

    with pytest.raises((KeyboardInterrupt, OSError)):
        stopped()
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_an_error_that_lerobot_only_logs_is_raised(tmp_path, make_episode, monkeypatch):
    from PIL import Image

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)

    def write_one() -> None:
        with LeRobotV3Writer(tmp_path / "x") as writer:
            writer.add(make_episode(image=True))

    with pytest.raises(OSError, match=r"space|No such file"):
        write_one()
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_written_over(rich_dataset, tmp_path):
    with pytest.raises(FolderInUse, match="exists"):
        LeRobotV3Writer(rich_dataset)


def test_what_a_kill_left_is_begun_anew(tmp_path, make_episode):
    writer = LeRobotV3Writer(tmp_path / "x").__enter__()
    writer.add(make_episode(seed=1))
    writer._claim.close()
    write(tmp_path / "x", [make_episode(seed=2)])
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert len(LeRobotV3Dataset(tmp_path / "x")) == 1


@pytest.mark.parametrize("version", ["v2.1", "v4.0", ""])
def test_other_versions_are_told(copy, version):
    change(copy, codebase_version=version)
    with pytest.raises(DatasetError, match="convert_dataset" if version == "v2.1" else "is not v3"):
        LeRobotV3Dataset(copy)


def change(path: Path, **values) -> None:
    info = json.loads((path / "meta/info.json").read_text())
    (path / "meta/info.json").write_text(json.dumps(info | values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"features": 3}, "features"),
        ({"features": {}}, "no feature"),
        ({"features": {"action": {"dtype": "float32", "shape": [1 << 40]}}}, "less than"),
        ({"fps": 0}, "fps"),
        ({"fps": "fast"}, "fps"),
        ({"data_path": "../../{chunk_index}/{file_index}"}, "outside"),
        ({"data_path": "/etc/passwd"}, "outside"),
        ({"data_path": "{chunk_index:999999999}"}, "no pattern"),
        ({"data_path": "{chunk_index.__class__}"}, "no pattern"),
        ({"data_path": "{0}"}, "no pattern"),
        ({"data_path": "none/{chunk_index}"}, "is missing"),
    ],
)
def test_a_hostile_info_is_refused(copy, values, message):
    change(copy, **values)
    with pytest.raises(DatasetError, match=message) as refused:
        LeRobotV3Dataset(copy).episode(0)
    assert str(copy) in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        "meta/info.json",
        "meta/episodes/chunk-000/file-000.parquet",
        "data/chunk-000/file-000.parquet",
        "meta/robolearn.parquet",
    ],
)
@pytest.mark.parametrize("damage", ["cut", "empty", "text", "gone"])
def test_a_damaged_file_is_named(copy, name, damage):
    file = copy / name
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(
            {"cut": content[: len(content) // 2], "empty": b"", "text": b"[1, 2]"}[damage]
        )
    if (name, damage) == ("meta/robolearn.parquet", "gone"):
        assert LeRobotV3Dataset(copy).context.features["observation.state"].shape == (5,)
        return
    with pytest.raises(DatasetError, match=r"damaged|missing|JSON|no episodes") as refused:
        read_all(copy)
    assert str(copy) in str(refused.value)


def test_flipped_bits_raise_nothing_else(copy):
    random = np.random.default_rng(0)
    files = sorted(file for file in copy.rglob("*") if file.is_file())
    for _ in range(60):
        file = files[random.integers(len(files))]
        kept = file.read_bytes()
        content = bytearray(kept)
        for _ in range(random.integers(1, 4)):
            content[random.integers(len(content))] ^= 1 << random.integers(8)
        file.write_bytes(content)
        with contextlib.suppress(DatasetError):
            read_all(copy)
        file.write_bytes(kept)


def read_all(path: Path) -> None:
    dataset = LeRobotV3Dataset(path)
    assert dataset.context.rate > 0
    for index in range(len(dataset.summaries)):
        for images in dataset.episode(index).images.values():
            images[:]


def test_a_damaged_video_is_named(video_dataset, tmp_path):
    copy = Path(shutil.copytree(video_dataset, tmp_path / "copy"))
    (file,) = copy.glob("videos/*/*/*.mp4")
    content = file.read_bytes()
    for damaged in (b"", b"#EXTM3U\nhttp://127.0.0.1/x.ts\n", content[: len(content) // 2]):
        file.write_bytes(damaged)
        images = LeRobotV3Dataset(copy).episode(2).images[FRONT]
        with pytest.raises(DatasetError, match=r"cannot be decoded|is missing"):
            images[:]


def test_a_picture_of_another_size_is_refused(copy):
    file = copy / "data/chunk-000/file-000.parquet"
    table = pq.read_table(file)
    place = table.schema.get_field_index(FRONT)
    small = table["observation.images.side"].combine_chunks()
    pq.write_table(table.set_column(place, FRONT, pa.chunked_array([small])), file)
    images = LeRobotV3Dataset(copy).episode(0).images[FRONT]
    with pytest.raises(DatasetError, match=r"frame 0 is damaged: it is 4x10"):
        images[:]


def test_episodes_that_another_program_changed_are_told(copy):
    file = copy / "meta/robolearn.parquet"
    pq.write_table(pq.read_table(file).slice(1), file)
    with pytest.raises(DatasetError, match="delete it"):
        LeRobotV3Dataset(copy).episode(0)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
@pytest.mark.parametrize("column", ["data/file_index", "episode_index", "length"])
def test_numbers_that_are_none_are_refused(copy, column, value):
    file = copy / "meta/episodes/chunk-000/file-000.parquet"
    table = pq.read_table(file)
    place = table.schema.get_field_index(column)
    pq.write_table(table.set_column(place, column, pa.array([value] * len(table))), file)
    with pytest.raises(DatasetError, match="meta/episodes is damaged"):
        LeRobotV3Dataset(copy).episode(0)


def test_a_link_out_of_the_dataset_is_refused(copy, tmp_path):
    file = copy / "data/chunk-000/file-000.parquet"
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="outside"):
        LeRobotV3Dataset(copy).episode(0)


def test_the_hubs_cache_is_read(rich_dataset, rich_episodes, tmp_path):
    """There, files are links to blobs beside the snapshots."""
    snapshot = tmp_path / "datasets--x" / "snapshots" / "0123"
    blobs = tmp_path / "datasets--x" / "blobs"
    blobs.mkdir(parents=True)
    for number, file in enumerate(sorted(rich_dataset.rglob("*"))):
        place = snapshot / file.relative_to(rich_dataset)
        if file.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            (blobs / str(number)).write_bytes(file.read_bytes())
            place.symlink_to(blobs / str(number))
    assert_same(rich_episodes[2], LeRobotV3Dataset(snapshot).episode(2))
