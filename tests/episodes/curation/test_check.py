from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from robolearn.episodes.curation.check import Examination
from robolearn.episodes.curation.check_files import OtherFiles
from robolearn.episodes.curation.problems import Problem, in_words, ranges_of, runs, summarised
from robolearn.episodes.dataset import Dataset, EpisodeSummary
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.formats.hdf5_file import Hdf5Writer
from robolearn.episodes.frames import EpisodeContext, Outcome
from robolearn.episodes.images import CODECS, EncodedImages
from robolearn.errors import DatasetError

STEPS = 60
HAND = "observation.state.hand"
ROTATION = "observation.state.hand_quat"
GRIPPER = "observation.state.gripper"
OBJECT = "observation.environment_state"
CAMERA = "observation.images.front"
STATES = "simulator_state"


def healthy(seed: int = 0, *, simulated: bool = False, image: bool = True) -> Episode:
    """An arm that moves all the time, a gripper and an object that mostly do not; 10 Hz."""
    random = np.random.default_rng(seed)
    phase = np.linspace(0, 5, STEPS) + seed
    half = 0.3 * np.sin(phase) / 2
    still_then_moves = np.where(np.arange(STEPS) < 40, 0.5, 0.5 - 0.01 * (np.arange(STEPS) - 40))
    values: dict[str, tuple[Feature, Any]] = {
        HAND: (Feature("float32", (2,), ("hand.x", "hand.y")), [np.sin(phase), np.cos(phase)]),
        ROTATION: (
            Feature("float32", (4,), ("hand_quat.qx", "hand_quat.qy", "hand_quat.qz", "hand_quat.qw")),
            [np.sin(half), 0 * half, 0 * half, np.cos(half)],
        ),
        GRIPPER: (Feature("float32", (1,), ("opening",)), [np.where(np.arange(STEPS) < 50, 1, 0)]),
        OBJECT: (Feature("float32", (2,), ("cube.x", "cube.y")), [still_then_moves, 0 * phase]),
    }  # fmt: skip
    if simulated:
        values[STATES] = (Feature("float64", (2,)), [phase, np.sin(phase)])
    features = {name: feature for name, (feature, _) in values.items()}
    images = {}
    if image:
        features[CAMERA] = Feature("uint8", (6, 8, 3))
        images[CAMERA] = random.integers(0, 256, (STEPS, 6, 8, 3), np.uint8)
    time = np.arange(STEPS) * 0.1
    clock = 1000 + (time / 9 if simulated else time + random.uniform(-0.005, 0.005, STEPS))
    actions = np.stack(
        [0.5 * np.cos(phase), np.where(np.arange(STEPS) < 45, -1, 1)], axis=1
    ).astype(np.float32)
    return Episode(
        context=EpisodeContext(
            features=features,
            action=ActionFeature(
                "float32", (2,), ("x", "gripper"), low=(-1, -1), high=(1, 1), gripper=(1,)
            ),
            task="go there",
            rate=10.0,
            model_file="<mujoco/>" if simulated else None,
        ),
        observations={
            name: np.stack(elements, axis=1).astype(feature.dtype)
            for name, (feature, elements) in values.items()
        },
        images=images,
        actions=actions,
        actions_asked=actions.copy(),
        rewards=np.zeros(STEPS, np.float32),
        success=np.arange(STEPS) == STEPS - 1,
        interventions=np.zeros(STEPS, bool),
        time=time,
        timestamps={name: clock.copy() for name in (*features, "action")},
        outcome=Outcome(STEPS, True, True, "horizon"),
        agent="numbers",
        recorded_at="2026-01-02T03:04:05+00:00",
    )


class InMemory(Dataset):
    def __init__(self, episodes: Sequence[Episode]) -> None:
        super().__init__(Path("memory"))
        self.all = list(episodes)

    @property
    def summaries(self) -> Sequence[EpisodeSummary]:
        return [EpisodeSummary.of(e, 100 + n, False) for n, e in enumerate(self.all)]

    @property
    def context(self) -> EpisodeContext:
        return self.all[0].context

    def episode(self, index: int) -> Episode:
        return self.all[index]


def problems_in(*episodes: Episode) -> list[Problem]:
    return [p for found in Examination(OtherFiles(InMemory(episodes))).run() for p in found]


def problems_at(path: Path) -> list[Problem]:
    return [problem for found in Examination.of(path).run() for problem in found]


def only(problems: list[Problem]) -> Problem:
    assert len(problems) == 1, "\n".join(map(str, problems))
    return problems[0]


@pytest.mark.parametrize("simulated", [False, True])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_healthy_dataset_has_no_problem(simulated: bool, count: int) -> None:
    assert problems_in(*(healthy(seed, simulated=simulated) for seed in range(count))) == []


def test_the_set_that_ships_has_no_problem(lift_demonstrations: Path) -> None:
    assert problems_at(lift_demonstrations) == []


def with_observation(name: str, frames: Any, value: Any) -> Callable[[Episode], Episode]:
    def damage(episode: Episode) -> Episode:
        values = episode.observations[name].copy()
        values[frames] = value
        return replace(episode, observations={**episode.observations, name: values})

    return damage


def with_held_observation(name: str, first: int, last: int) -> Callable[[Episode], Episode]:
    def damage(episode: Episode) -> Episode:
        held = episode.observations[name][first]
        return with_observation(name, slice(first, last + 1), held)(episode)

    return damage


def with_images(change: Callable[[np.ndarray], None]) -> Callable[[Episode], Episode]:
    def damage(episode: Episode) -> Episode:
        images = np.array(episode.images[CAMERA])
        change(images)
        return replace(episode, images={CAMERA: images})

    return damage


def with_times(name: str, change: Callable[[np.ndarray], None]) -> Callable[[Episode], Episode]:
    def damage(episode: Episode) -> Episode:
        times = episode.timestamps[name].copy()
        change(times)
        return replace(episode, timestamps={**episode.timestamps, name: times})

    return damage


def with_all_times(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Episode], Episode]:
    def damage(episode: Episode) -> Episode:
        return replace(
            episode, timestamps={name: change(t.copy()) for name, t in episode.timestamps.items()}
        )

    return damage


def with_actions(asked: bool, sent: bool, frames: Any, value: Any) -> Callable[[Episode], Episode]:
    def damage(episode: Episode) -> Episode:
        changed = episode.actions.copy()
        changed[frames] = value
        return replace(
            episode,
            actions=changed if sent else episode.actions,
            actions_asked=changed if asked else episode.actions_asked,
        )

    return damage


def with_clock(change: Callable[[np.ndarray], None]) -> Callable[[Episode], Episode]:
    def damage(episode: Episode) -> Episode:
        time = episode.time.copy()
        change(time)
        return replace(episode, time=time)

    return damage


def _freeze(first: int, last: int) -> Callable[[np.ndarray], None]:
    def change(values: np.ndarray) -> None:
        values[first : last + 1] = values[first]

    return change


def _later(frame: int, seconds: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(times: np.ndarray) -> np.ndarray:
        times[frame:] += seconds
        return times

    return change


def _repeat(*frames: int) -> Callable[[np.ndarray], None]:
    def change(values: np.ndarray) -> None:
        for frame in frames:
            values[frame] = values[frame - 1]

    return change


def _set(frame: int, value: float) -> Callable[[np.ndarray], None]:
    def change(values: np.ndarray) -> None:
        values[frame] = value

    return change


def _jitter(times: np.ndarray) -> np.ndarray:
    return np.asarray(times + np.where(np.arange(len(times)) % 5 == 0, 0.06, 0))


@pytest.mark.parametrize(
    ("damage", "severity", "kind", "stream", "frames", "message"),
    [
        (with_observation(HAND, (slice(5, 8), 1), np.nan), "error", "not_finite", HAND, ((5, 7),), "NaN in hand.y"),
        (with_observation(HAND, 9, np.inf), "error", "not_finite", HAND, ((9, 9),), "infinity in hand.x, hand.y"),
        (with_actions(True, True, (3, 0), np.nan), "error", "not_finite", "action", ((3, 3),), "NaN in x"),
        (with_actions(True, False, (4, 0), np.nan), "error", "not_finite", "actions_asked", ((4, 4),), "NaN in x"),
        (with_actions(True, True, (slice(2, 4), 0), 1.5), "error", "outside_range", "action", ((2, 3),), "x reaches 1.5, outside -1 to 1"),
        (with_actions(False, True, (6, 0), -0.9), "warning", "altered_action", "action", ((6, 6),), "x was sent otherwise"),
        (with_observation(ROTATION, slice(20, 22), 1.0), "error", "quaternion", ROTATION, ((20, 21),), "qw has a length of 2, not 1"),
        (with_clock(_repeat(8)), "error", "clock", "time", ((8, 8),), "stands still or goes back"),
        (with_times(HAND, _set(30, 1002.0)), "error", "clock", HAND, ((30, 30),), "go back"),
        (with_times(CAMERA, _repeat(12, 13, 20)), "warning", "lost", CAMERA, ((12, 13), (20, 20)), "3 of 60 frames lost"),
        (with_times(HAND, _repeat(12)), "warning", "stale", HAND, ((12, 12),), "1 of 60"),
        (with_all_times(_later(33, 0.4)), "warning", "gap", HAND, ((33, 33),), "a gap of 0[.][45].* where 0[.][01].* s are usual .as 5 other streams"),
        (with_all_times(_jitter), "warning", "jitter", HAND, (), "off its time"),
        (with_images(_freeze(10, 24)), "warning", "frozen", CAMERA, ((11, 24),), "14 frames while the arm moves"),
        (with_images(_repeat(15, 40)), "warning", "duplicate", CAMERA, ((15, 15), (40, 40)), "once more"),
        (with_held_observation(HAND, 20, 34), "warning", "frozen", HAND, ((20, 34),), "15 frames and then jumps"),
        (with_observation(HAND, slice(40, STEPS), 0.25), "warning", "frozen", HAND, ((40, 59),), "20 frames while the arm moves"),
        (with_observation(ROTATION, slice(0, STEPS), (0, 0, 0, 1)), "warning", "frozen", ROTATION, ((0, 59),), "60 frames"),
    ],
)  # fmt: skip
def test_each_kind_is_found_and_named(
    damage: Callable[[Episode], Episode],
    severity: str,
    kind: str,
    stream: str,
    frames: tuple[tuple[int, int], ...],
    message: str,
) -> None:
    found = [
        problem
        for problem in problems_in(healthy(0), damage(healthy(1)))
        # Time that goes back is followed by a longer step than is usual.
        if not (kind == "clock" and problem.kind in {"gap", "jitter"})
    ]
    problem = only(found)
    assert (problem.severity, problem.kind) == (severity, kind)
    assert (problem.episode, problem.stream, problem.frames) == (101, stream, frames)
    assert problem.message
    assert re.search(message, problem.message), problem.message


def test_all_that_is_wrong_is_said_at_once() -> None:
    episode = healthy()
    for damage in (
        with_observation(HAND, (4, 0), np.nan),
        with_observation(OBJECT, (5, 1), np.inf),
        with_observation(ROTATION, 6, 0.0),
        with_actions(True, True, (7, 0), 3.0),
        with_images(_repeat(8)),
        with_times(GRIPPER, _repeat(9)),
    ):
        episode = damage(episode)
    found = {(p.kind, p.stream, p.frames) for p in problems_in(episode)}
    assert found == {
        ("not_finite", HAND, ((4, 4),)),
        ("not_finite", OBJECT, ((5, 5),)),
        ("quaternion", ROTATION, ((6, 6),)),
        ("outside_range", "action", ((7, 7),)),
        ("duplicate", CAMERA, ((8, 8),)),
        ("stale", GRIPPER, ((9, 9),)),
    }


def test_an_action_at_its_limit_is_neither_outside_nor_altered() -> None:
    episode = with_actions(True, False, (3, 0), 7.0)(
        with_actions(True, True, (3, 0), 1.0)(healthy())
    )
    assert problems_in(episode) == []


def test_a_quaternion_without_names_is_known_by_its_key() -> None:
    episode = with_observation(ROTATION, 5, 0.7)(healthy())
    unnamed = replace(
        episode,
        context=replace(
            episode.context,
            features={**episode.context.features, ROTATION: Feature("float32", (4,))},
        ),
    )
    assert only(problems_in(unnamed)).kind == "quaternion"


def test_a_simulator_may_run_at_any_speed_but_its_clock_must_not_jump() -> None:
    stalled = with_all_times(_later(33, 5.0))(healthy(simulated=True))
    assert problems_in(stalled) == []

    def jump(time: np.ndarray) -> None:
        time[20:] += 0.3

    problem = only(problems_in(with_clock(jump)(healthy(simulated=True))))
    assert (problem.kind, problem.stream, problem.frames) == ("gap", "time", ((20, 20),))


def test_a_simulator_that_leaves_no_model_is_known_by_its_clock() -> None:
    quick = with_all_times(lambda times: 1000 + (times - 1000) / 20)(healthy())
    assert problems_in(quick) == []


def test_an_arm_that_runs_slower_than_declared() -> None:
    episode = healthy()
    slow = replace(episode, context=replace(episode.context, rate=20.0))
    assert {(p.kind, p.message.split(",")[0]) for p in problems_in(slow)} == {
        ("rate", f"runs at {1 / np.median(np.diff(episode.timestamps['action'])):.4g} Hz")
    }


def test_a_lost_frame_is_no_gap_of_the_frame_after_it() -> None:
    problem = only(problems_in(with_times(CAMERA, _repeat(20, 21, 22))(healthy())))
    assert (problem.kind, problem.frames) == ("lost", ((20, 22),))


def test_a_lost_frame_is_no_duplicate() -> None:
    episode = with_images(_repeat(20))(with_times(CAMERA, _repeat(20))(healthy()))
    assert only(problems_in(episode)).kind == "lost"


def test_an_image_may_stay_the_same_while_the_arm_rests() -> None:
    episode = with_images(_freeze(20, 39))(with_observation(HAND, slice(20, 40), 0.5)(healthy()))
    episode = with_observation(ROTATION, slice(20, 40), (0, 0, 0, 1))(episode)
    cameras = [p for p in problems_in(episode) if p.stream == CAMERA]
    # The first frame at rest is another image than the last one in motion.
    assert cameras == []


def test_an_arm_that_rests_in_many_episodes_is_not_frozen() -> None:
    rest = with_observation(ROTATION, slice(40, STEPS), (0, 0, 0, 1))
    assert problems_in(*(rest(healthy(seed)) for seed in range(6))) == []
    found = problems_in(*(healthy(seed) for seed in range(6)), rest(healthy(6)))
    assert [(p.kind, p.episode) for p in found] == [("frozen", 106)]


def test_images_that_cannot_be_decoded_are_named() -> None:
    episode = healthy()
    codec = CODECS["lossless"]
    data = [codec.encode(image) for image in np.array(episode.images[CAMERA])]
    data[7] = data[8] = b"no image"
    broken = replace(episode, images={CAMERA: EncodedImages(data, codec, (6, 8, 3))})
    problem = only(problems_in(broken))
    assert (problem.kind, problem.stream, problem.frames) == ("unreadable", CAMERA, ((7, 8),))


def test_features_that_differ_between_episodes() -> None:
    episode = healthy(1, image=False)
    other = replace(episode, context=replace(episode.context, rate=12.0))
    found = {(p.kind, p.stream): p.message for p in problems_in(healthy(0), other)}
    assert found["differs", CAMERA] == "missing, but uint8 6x8x3 in episode 100"
    assert found["differs", "rate"] == "12 Hz, but 10 Hz in episode 100"


def test_an_episode_without_frames() -> None:
    episode = healthy(image=False)
    empty = replace(
        episode,
        observations={name: values[:0] for name, values in episode.observations.items()},
        timestamps={name: times[:0] for name, times in episode.timestamps.items()},
        **{
            name: getattr(episode, name)[:0]
            for name in ("actions", "actions_asked", "rewards", "success", "interventions", "time")
        },
    )
    problem = only(problems_in(empty))
    assert (problem.severity, problem.kind) == ("error", "empty")


# ---------------------------------------------------------------------------------------- files


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("written")
    episodes = [healthy(seed) for seed in range(3)]
    with FolderWriter(path / "folder") as folder:
        for episode in episodes:
            folder.add(episode, valid=episode is episodes[-1])
    with Hdf5Writer(path / "one.hdf5") as file:
        for episode in episodes:
            file.add(episode, valid=episode is episodes[-1])
    return path


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written / "folder", tmp_path / "folder"))


@pytest.fixture
def one(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(written / "one.hdf5", tmp_path / "one.hdf5"))


def replaced(group: h5py.Group, key: str, values: Any) -> None:
    del group[key]
    group[key] = values


def test_written_datasets_have_no_problem(folder: Path, one: Path) -> None:
    assert problems_at(folder) == []
    assert problems_at(folder / "index.hdf5") == []
    assert problems_at(one) == []


def test_every_array_of_another_length_is_named(one: Path) -> None:
    with h5py.File(one, "r+") as file:
        demo = file["data/demo_1"]
        replaced(demo, "obs/hand", demo["obs/hand"][:-1])
        replaced(demo, "rewards", demo["rewards"][:-2])
        replaced(demo, "robolearn/timestamps/obs/front_image", np.arange(5.0))
        demo.attrs["num_samples"] = 7
        demo["next_obs/hand"] = np.zeros((3, 2))
    found = {p.stream: p.message for p in problems_at(one)}
    assert found == {
        "obs/hand": "it has 59 frames where actions has 60",
        "rewards": "it has 58 frames where actions has 60",
        "robolearn/timestamps/obs/front_image": "it has 5 frames where actions has 60",
        "next_obs/hand": "it has 3 frames where actions has 60",
        None: "num_samples is 7 where actions has 60 frames",
    }
    assert {p.episode for p in problems_at(one)} == {1}


def test_missing_arrays_and_undescribed_ones(one: Path) -> None:
    with h5py.File(one, "r+") as file:
        demo = file["data/demo_2"]
        del demo["obs/hand"]
        del demo["robolearn/time"]
        demo["obs/extra"] = np.zeros((STEPS, 2))
    found = {(p.severity, p.kind, p.stream, p.episode) for p in problems_at(one)}
    assert found == {
        ("error", "missing", "obs/hand", 2),
        ("error", "missing", "robolearn/time", 2),
        ("warning", "undescribed", "obs/extra", 2),
    }


def test_numbers_for_which_an_episode_is_refused(one: Path) -> None:
    with h5py.File(one, "r+") as file:
        for key, frame in (("rewards", 3), ("robolearn/time", 5)):
            values = file[f"data/demo_0/{key}"][()]
            values[frame] = np.nan
            replaced(file["data/demo_0"], key, values)
    found = {(p.kind, p.stream, p.frames) for p in problems_at(one)}
    assert found == {
        ("not_finite", "rewards", ((3, 3),)),
        ("not_finite", "robolearn/time", ((5, 5),)),
    }


def test_a_mask_that_names_absent_episodes(one: Path) -> None:
    with h5py.File(one, "r+") as file:
        file["mask/few"] = np.array(["demo_0", "demo_7", "demo_10"], "S")
        file["mask/number"] = 3
        replaced(file, "mask/train", np.array(["demo_0", "demo_2"], "S"))
    messages = "\n".join(p.message for p in problems_at(one) if p.kind == "mask")
    assert f"{one}: mask/few names absent episodes: demo_7, demo_10" in messages
    assert "mask/number is no list of names" in messages
    assert "both for training and for validation: demo_2" in messages
    assert "neither for training nor for validation: demo_1" in messages


def test_a_wrong_total_and_a_group_that_is_no_episode(one: Path) -> None:
    with h5py.File(one, "r+") as file:
        file["data"].attrs["total"] = 1
        file["data"].create_group("notes")
    found = {p.kind: p.message for p in problems_at(one)}
    assert "total of 1 frames, its episodes have 180" in found["total"]
    assert "data/notes is not called demo_0" in found["unreadable"]


def test_a_link_that_leaves_the_file(one: Path) -> None:
    with h5py.File(one, "r+") as file:
        del file["data/demo_0/obs/hand"]
        file["data/demo_0/obs/hand"] = h5py.ExternalLink("/etc/passwd", "x")
    found = {(p.kind, p.stream) for p in problems_at(one) if p.episode == 0}
    assert ("unreadable", "obs/hand") in found


@pytest.mark.parametrize("size", [0, 100, 4000])
def test_a_file_cut_off(one: Path, size: int) -> None:
    with one.open("r+b") as file:
        file.truncate(size)
    problem = only(problems_at(one))
    assert (problem.severity, problem.kind) == ("error", "unreadable")
    assert str(one) in problem.message


def test_an_episode_cut_off_or_altered_leaves_the_others_checked(folder: Path) -> None:
    cut, altered = (folder / "episodes" / f"episode_00000{n}.hdf5" for n in (0, 2))
    with cut.open("r+b") as file:
        file.truncate(5000)
    with altered.open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    examination = Examination.of(folder)
    found = {p.episode: p for problems in examination.run() for p in problems}
    assert found.keys() == {0, 2}
    assert "is cut off" in found[0].message
    assert "checksum" in found[2].message
    assert (examination.unread, examination.frames) == ([0, 2], STEPS)


def test_an_index_that_does_not_fit_the_files(folder: Path) -> None:
    (folder / "episodes" / "episode_000001.hdf5").unlink()
    index = folder / "episodes.jsonl"
    lines = index.read_text().splitlines()
    entry = json.loads(lines[0])
    entry["frames"] = 3
    index.write_text("\n".join([json.dumps(entry), lines[1], "{"]) + "\n")
    found = [(p.severity, p.kind, p.episode, p.message) for p in problems_at(folder)]
    index_errors = [p for p in found if p[1] == "index"]
    assert [p[:3] for p in index_errors] == [
        ("warning", "index", None),
        ("error", "index", 1),
        ("warning", "index", 2),
        ("error", "index", 0),
    ]
    assert "line 3 cannot be read" in index_errors[0][3]
    assert "says 3 frames, its file has 60" in index_errors[3][3]
    assert [p[3].partition(": ")[2] for p in found if p[1] == "peers_index"] == [
        "data/demo_1 leads to episodes/episode_000001.hdf5, which is not there"
    ]


def test_a_peers_index_that_is_behind_damaged_or_gone(folder: Path) -> None:
    index = folder / "index.hdf5"
    with h5py.File(index, "r+") as file:
        del file["data/demo_2"]
    messages = [p.message for p in problems_at(folder)]
    assert messages == [
        f"{index} lacks the episodes 2",
        f"{index}: mask/valid names absent episodes: demo_2",
    ]
    index.write_bytes(index.read_bytes()[:700])
    assert only(problems_at(folder)).severity == "error"
    index.unlink()
    assert "missing" in only(problems_at(folder)).message


def test_a_peers_index_that_leads_elsewhere(folder: Path) -> None:
    with h5py.File(folder / "index.hdf5", "r+") as file:
        del file["data/demo_0"], file["mask/train"]
        file["data/demo_0"] = h5py.ExternalLink("../../other.hdf5", "data/demo_0")
        file.create_dataset("mask/train", (10**12,), "S8", chunks=(1000,))
    errors = [p.message for p in problems_at(folder) if p.severity == "error"]
    assert "data/demo_0 leads to ../../other.hdf5, outside the dataset" in errors[0]
    assert "mask/train declares" in errors[1]


def test_what_a_kill_left_behind(folder: Path) -> None:
    (folder / "episodes" / ".episode.part").write_bytes(b"half")
    (folder / "episodes" / ".in_flight_0.journal").write_bytes(b"no journal" * 9)
    (folder / "episodes" / "episode_3.hdf5").write_bytes(b"?")
    found = {(p.severity, p.kind) for p in problems_at(folder)}
    assert found == {("warning", "leftover"), ("error", "leftover"), ("warning", "strange_file")}


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    for path in (tmp_path, tmp_path / "thesis.tex", tmp_path / "nowhere"):
        with pytest.raises(DatasetError):
            problems_at(path)


# ------------------------------------------------------------------------------------- in words


def test_ranges() -> None:
    assert runs(np.array([True, True, False, True])) == ((0, 1), (3, 3))
    assert runs(np.array([], bool)) == ()
    assert ranges_of([7, 3, 4, 5]) == ((3, 5), (7, 7))
    assert ranges_of([]) == ()
    assert in_words(tuple((n, n) for n in range(0, 20, 2))) == "0, 2, 4, 6, 8 and 5 more ranges"


def test_a_thousand_problems_are_few_lines() -> None:
    def many() -> Iterator[Problem]:
        for number in range(1000):
            yield Problem("warning", "lost", "gone", number, CAMERA, ((number, number + 1),))
        yield Problem("error", "not_finite", "NaN", 5, HAND, ((3, 3),))

    assert list(summarised(many())) == [
        f"error: episode 5, {HAND}, frame 3: NaN",
        f"warning: episode 0, {CAMERA}, frames 0-1: gone",
        f"warning: episode 1, {CAMERA}, frames 1-2: gone",
        f"warning: episode 2, {CAMERA}, frames 2-3: gone",
        f"warning: and 997 more of this kind (lost in {CAMERA}) in episodes 3-999",
    ]
