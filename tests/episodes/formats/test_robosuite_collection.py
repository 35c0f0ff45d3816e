from __future__ import annotations

import io
import json
import pickle
import resource
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from robolearn.episodes.formats import open_dataset
from robolearn.episodes.formats.robosuite_collection import RobosuiteCollection
from robolearn.errors import DatasetError, RobolearnError

MODEL = '<mujoco><asset><mesh name="hand" file="/home/x/robosuite/models/assets/h.stl"/></asset></mujoco>'


def save_part(path: Path, first: int, steps: int, success: bool = False, **others: Any) -> None:
    """As the wrapper's `_flush` writes it; the first part has the state before the first action."""
    times = np.arange(first + (first > 0), first + steps + 1) * 0.05
    states = np.column_stack([times, np.full((len(times), 4), 0.5)])
    content = {
        "states": np.array(list(states)),
        "action_infos": [{"actions": np.full(7, first + step)} for step in range(steps)],
        "successful": success,
        "env": "Lift",
    }
    np.savez(path, **content | others)


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Two episodes of 5 and 3 steps; the first is in two parts and succeeded."""
    folder = tmp_path / "collection"
    for name in ("ep_1700000001_25", "ep_1700000000_5"):
        (folder / name).mkdir(parents=True)
        (folder / name / "model.xml").write_text(MODEL)
        (folder / name / "ep_meta.json").write_text("{}")
    first = folder / "ep_1700000000_5"
    save_part(first / "state_1700000010_1.npz", 0, 3)
    save_part(first / "state_1700000010_9.npz", 3, 2, success=True)
    save_part(folder / "ep_1700000001_25" / "state_1700000020_1.npz", 0, 3)
    return folder


def test_states_and_actions_are_read_in_order(collection: Path) -> None:
    dataset = open_dataset(collection)
    assert isinstance(dataset, RobosuiteCollection)
    assert [(s.number, s.frames, s.success) for s in dataset.summaries] == [
        (0, 5, True),
        (1, 3, False),
    ]
    episode = dataset.episode(0)
    states = episode.observations["simulator_state"]
    np.testing.assert_allclose(states[:, 0], np.arange(5) * 0.05)
    np.testing.assert_array_equal(episode.actions, np.repeat(np.arange(5.0)[:, None], 7, 1))
    np.testing.assert_array_equal(episode.time, states[:, 0])
    assert episode.actions.dtype == states.dtype == np.float64
    assert episode.outcome.success is True
    assert episode.success.tolist() == [False, False, False, False, True]
    assert episode.recorded_at == "2023-11-14T22:13:20+00:00"
    assert episode.context.rate == 20.0
    assert episode.context.env_args["env_name"] == episode.context.task == "Lift"
    assert episode.context.action.gripper == (6,)
    assert episode.context.model_file is not None
    assert 'file="robosuite/models/assets/h.stl"' in episode.context.model_file
    assert dataset.episode(1).outcome.success is False


def test_episodes_without_a_step_and_empty_parts_are_passed_over(collection: Path) -> None:
    (collection / "ep_1700000002_0").mkdir()
    empty = collection / "ep_1700000003_0"
    empty.mkdir()
    save_part(empty / "state_1.npz", 0, 0, action_infos=[])
    # A flush after the last step leaves a part with nothing in it.
    last = collection / "ep_1700000000_5" / "state_1700000011_0.npz"
    np.savez(last, states=np.array([]), action_infos=[], successful=False, env="Lift")
    dataset = RobosuiteCollection(collection)
    assert [len(dataset.episode(index)) for index in range(len(dataset))] == [5, 3]
    with pytest.raises(DatasetError, match="no ep_"):
        RobosuiteCollection(empty)


def test_the_task_in_words_where_there_are_some(collection: Path) -> None:
    meta = collection / "ep_1700000000_5" / "ep_meta.json"
    meta.write_text(json.dumps({"lang": "lift it"}))
    assert RobosuiteCollection(collection).context.task == "lift it"
    meta.write_text("{" * 9)
    with pytest.raises(DatasetError, match=r"ep_meta\.json is no JSON"):
        RobosuiteCollection(collection).context  # noqa: B018


class Runs:
    """Unpickling it would run a program."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __reduce__(self) -> Any:
        return Path.touch, (self._target,)


def read_all(folder: Path) -> None:
    dataset = RobosuiteCollection(folder)
    assert len(dataset.summaries) == len(dataset)
    for index in range(len(dataset)):
        dataset.episode(index)


def part_of(collection: Path) -> Path:
    return collection / "ep_1700000000_5" / "state_1700000010_1.npz"


def replace_member(path: Path, name: str, content: bytes, **how: Any) -> None:
    with zipfile.ZipFile(path) as old:
        members = {info.filename: old.read(info) for info in old.infolist()}
    with zipfile.ZipFile(path, "w") as new:
        for member, data in (members | {name: content}).items():
            new.writestr(member, data, **how)


def test_no_program_is_run(collection: Path, tmp_path: Path) -> None:
    for others in (
        {"action_infos": [Runs(tmp_path / "ran"), 0, 0]},
        {"action_infos": [{"actions": Runs(tmp_path / "ran")}] * 3},
        {"successful": np.array([Runs(tmp_path / "ran")], object)},
        {"states": np.array([Runs(tmp_path / "ran")], object)},
    ):
        save_part(part_of(collection), 0, 3, **others)
        with pytest.raises(DatasetError, match=r"state_1700000010_1\.npz: "):
            read_all(collection)
    assert not (tmp_path / "ran").exists()
    save_part(part_of(collection), 0, 3, action_infos=[Runs(tmp_path / "ran"), 0, 0])
    with pytest.raises(DatasetError, match="holds a pickled pathlib"):
        read_all(collection)


def object_array(shape: tuple[int, ...], pickled: bytes) -> bytes:
    file = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + pickled


def numbers(shape: tuple[int, ...], data: bytes) -> bytes:
    file = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + data


class Huge:
    """Its pickle asks NumPy for 80 TB."""

    def __reduce__(self) -> Any:
        return np.ndarray, ((10**13,), "f8")


HOSTILE_PICKLES = {
    "an array of 80 TB": pickle.dumps(Huge(), 4),
    "a place far away in the memo": b"\x80\x04\x4er\xff\xff\xff\x7f.",
    "a huge byte array": b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b".",
    "a persistent object": b"\x80\x04U\x01aQ.",
    "a class changed": b"\x80\x04cnumpy\ndtype\n}U\x05_kindNsb.",
    "nothing": b"",
    "half an opcode": b"\x80\x04\x8c\xff",
    "no array": pickle.dumps([{"actions": [1.0]}] * 3, 4),
    "another list": pickle.dumps(np.array([{"a": np.zeros(7)}] * 2, object), 4),
}


@pytest.mark.parametrize("what", HOSTILE_PICKLES)
def test_hostile_pickles(collection: Path, what: str) -> None:
    content = object_array((3,), HOSTILE_PICKLES[what])
    replace_member(part_of(collection), "action_infos.npy", content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DatasetError, match=r"state_1700000010_1\.npz: action_infos"):
        read_all(collection)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + (256 << 10)


def test_declared_sizes_are_not_believed(collection: Path) -> None:
    part = part_of(collection)
    for shape, data in (((10**12, 5), b"12345678"), ((-1, 5), b""), ((4, 5), bytes(8 * 21))):
        replace_member(part, "states.npy", numbers(shape, data))
        with pytest.raises(DatasetError, match="states declares the shape"):
            read_all(collection)
    replace_member(part, "states.npy", numbers((0, 10**18, 10**18), b""))
    with pytest.raises(DatasetError, match="states cannot have the shape"):
        read_all(collection)
    zeros = numbers((1 << 22,), bytes(8 << 22))
    replace_member(part, "states.npy", zeros, compress_type=zipfile.ZIP_DEFLATED)
    assert part.stat().st_size < 1 << 20
    with pytest.raises(DatasetError, match="is packed, or larger"):
        read_all(collection)


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ({"states": np.zeros((3, 5))}, "5 states do not fit 5 actions"),
        ({"states": np.zeros((4, 6))}, "states change their size"),
        ({"states": np.zeros((4, 5))}, "time in its states does not go on"),
        ({"states": np.full((4, 5), np.nan)}, "time in its states does not go on"),
        ({"states": np.full((4, 5), "a")}, "states is no array of numbers"),
        ({"successful": np.array(["yes", "no"])}, "successful is no array of numbers"),
        ({"env": np.array(["Lift", "Door"])}, "env is no single text"),
        ({"env": 3}, "env is no text"),
        (
            {"action_infos": [{"actions": np.zeros(3)}, {"actions": np.zeros(2)}, {}]},
            "without actions",
        ),
        ({"action_infos": [{"other": np.zeros(3)}] * 3}, "without actions"),
        ({"action_infos": [{"actions": np.zeros(s)} for s in (7, 7, 6)]}, "no actions of one size"),
        ({"action_infos": [{"actions": np.zeros(0)}] * 3}, "no actions of one size"),
        ({"action_infos": np.zeros(3)}, "holds no dicts"),
        ({"action_infos": [{"actions": np.zeros(2)}] * 3}, "actions change their size"),
    ],
)
def test_what_does_not_fit(collection: Path, others: dict[str, Any], reason: str) -> None:
    save_part(part_of(collection), 0, 3, **others)
    with pytest.raises(DatasetError, match=reason):
        read_all(collection)


@pytest.mark.parametrize("seconds", [5000.0, 1e-310])
def test_a_time_that_gives_no_rate_is_refused(collection: Path, seconds: float) -> None:
    states = np.cumsum(np.full((4, 5), seconds), axis=0)
    save_part(collection / "ep_1700000001_25" / "state_1700000020_1.npz", 0, 3, states=states)
    with pytest.raises(DatasetError, match=r"ep_1700000001_25: its states are .* no rate"):
        read_all(collection)


def test_states_without_elements_are_refused(collection: Path) -> None:
    part = collection / "ep_1700000001_25" / "state_1700000020_1.npz"
    save_part(part, 0, 3, states=np.zeros((4, 0)))
    with pytest.raises(DatasetError, match="4 states do not fit 3 actions"):
        read_all(collection)


def test_one_array_that_stands_for_many_takes_no_memory(collection: Path) -> None:
    step = {"actions": np.zeros(10_000)}
    for steps in ([step] * 100_000, [{"actions": step["actions"]} for _ in range(100_000)]):
        save_part(part_of(collection), 0, 3, action_infos=steps)
        assert part_of(collection).stat().st_size < 8 << 20
        with pytest.raises(DatasetError, match="100000 steps of 10000 elements"):
            read_all(collection)


@pytest.mark.parametrize("count", [600_000_000, 10**15])
def test_text_of_no_length_is_not_counted_through(collection: Path, count: int) -> None:
    file = io.BytesIO()
    header = {"descr": "<U0", "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)
    for name in ("successful", "env", "states"):
        save_part(part_of(collection), 0, 3)
        replace_member(part_of(collection), f"{name}.npy", file.getvalue())
        with pytest.raises(DatasetError, match=f"{name} (is no|declares)"):
            read_all(collection)


def test_damaged_bytes_give_an_error_or_an_episode(collection: Path) -> None:
    part = part_of(collection)
    whole = part.read_bytes()
    random = np.random.default_rng(0)
    messages = []
    for trial in range(300):
        damaged = bytearray(whole)
        if trial % 3 == 0:
            del damaged[random.integers(len(whole)) :]
        else:
            for place in random.integers(len(whole), size=1 + trial % 5):
                damaged[place] ^= 1 << random.integers(8)
        part.write_bytes(damaged)
        try:
            read_all(collection)
        except RobolearnError as error:
            messages.append(str(error))
    assert len(messages) > 250
    assert all(str(collection) in message and "\n" not in message for message in messages)


def test_a_missing_model(collection: Path) -> None:
    (collection / "ep_1700000001_25" / "model.xml").unlink()
    with pytest.raises(DatasetError, match=r"ep_1700000001_25/model\.xml cannot be read"):
        read_all(collection)
