from pathlib import Path

import pytest

from robolearn.environments.arms.profile import load_arm
from robolearn.environments.gymnasium_task import GymnasiumTask
from robolearn.environments.targets import load_target
from robolearn.environments.task import SimTask, load_task
from robolearn.errors import ConfigurationError, ShelfError
from robolearn.learning.config import CloningConfig
from robolearn.policies.config import PolicyConfig
from robolearn.policies.memory.config import MemoryConfig
from robolearn.shelf import read_toml, shelf_entries, shelf_folder, validate


@pytest.fixture
def lift_text() -> str:
    return (shelf_folder("sim") / "lift.toml").read_text()


def read(folder: Path, text: str) -> SimTask:
    path = folder / "task.toml"
    path.write_text(text)
    return load_task(str(path))


def test_each_task_on_the_shelf_can_be_read() -> None:
    entries = list(shelf_folder("sim").glob("*.toml"))
    assert entries
    for entry in entries:
        schema = GymnasiumTask if entry.stem in ("cartpole", "pusht") else SimTask
        assert load_target(f"sim:{entry.stem}") == read_toml(entry, schema)


@pytest.mark.parametrize("target", ["sim:nothing", "lift", "real:lift", "sim:", ""])
def test_an_unknown_target_lists_the_known_ones(target: str) -> None:
    with pytest.raises(ShelfError, match=r"use one of .*sim:lift"):
        load_task(target)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ShelfError, match=r"no task file nowhere\.toml"):
        load_task("nowhere.toml")


@pytest.mark.parametrize(
    ("old", "new", "line_holds", "message"),
    [
        ("rate = 20.0", "ratte = 20.0", "ratte", r"simulator\.ratte: unknown key"),
        ("rate = 20.0", 'rate = "fast"', "rate", r"simulator\.rate: .*number.*'fast'"),
        ("rate = 20.0", 'rate = "20"', "rate", r"simulator\.rate: .*number.*'20'"),
        ("horizon = 80", "horizon = true", "horizon", r"simulator\.horizon: .*integer.*True"),
        ("speed = [0.6, 1.0]", "speed = [1.0, 0.6]", "speed", r"expert\.speed: .*least.*\[1\.0"),
        ("[0.1, 0.4]", "[0.4, 0.1]", "pause =", r"expert\.variation\.pause: a range .*least"),
        ("x = [-0.15, 0.15]", "x = [1, 0]", "x =", r"reverse\.x: a range .*least.*\[1, 0\]"),
        ("rate = 20.0", "rate = nan", "rate", r"simulator\.rate: .*finite .*nan"),
        ("rate = 20.0", "rate = 1e9", "rate", r"simulator\.rate: .*500 .*1000000000"),
        ("offset = [0.0, 0.0, 0.08]", "offset = [nan, 0, 1]", "offset", r"offset.*finite"),
        ("rate = 20.0", "", "[simulator]", r"simulator\.rate: is missing"),
        ("horizon = 80", "horizon = 0", "horizon", r"simulator\.horizon: .*greater.*0"),
        (
            "wait = 4",
            "wait = -1",
            "wait",
            r"expert\.waypoints\[2\]\.wait: .*greater than or equal to 0",
        ),
        (
            "tolerance = 0.01\n",
            "tolerant = 1\n",
            "tolerant",
            r"expert\.waypoints\[1\]\.tolerant: unk",
        ),
        (
            "offset = [0.0, 0.0, 0.12]",
            "offset = [\n  0.0,\n  0.12,\n]",
            "offset",
            r"expert\.waypoints\[3\]\.offset",
        ),
    ],
)
def test_a_broken_value_is_named_with_file_line_and_key(
    tmp_path: Path, lift_text: str, old: str, new: str, line_holds: str, message: str
) -> None:
    assert old in lift_text
    text = lift_text.replace(old, new, 1)
    with pytest.raises(ShelfError, match=message) as caught:
        read(tmp_path, text)
    place, _, _ = str(caught.value).partition(": ")
    name, _, line = place.partition(", line ")
    assert name == str(tmp_path / "task.toml")
    # The line is that of the key itself; of a missing key it is the table's.
    candidates = [n for n, content in enumerate(text.splitlines(), 1) if line_holds in content]
    assert int(line) in candidates


def test_a_whole_number_will_do_and_a_range_may_be_a_point(tmp_path: Path, lift_text: str) -> None:
    text = lift_text.replace("rate = 20.0", "rate = 20").replace("[0.6, 1.0]", "[1, 1]")
    task = read(tmp_path, text)
    assert isinstance(task.simulator.rate, float)
    assert task.expert is not None
    assert task.expert.speed == (1.0, 1.0)


def test_what_is_no_toml_is_named_with_its_line(tmp_path: Path, lift_text: str) -> None:
    with pytest.raises(ShelfError, match=r"task\.toml: no valid TOML: .*line 2"):
        read(tmp_path, "text = 'a'\nrate = = 3\n")


def test_what_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "task.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ShelfError, match=r"task\.toml: cannot be read"):
        load_task(str(tmp_path / "task.toml"))


def test_values_from_python_are_held_to_the_same_limits() -> None:
    with pytest.raises(ConfigurationError, match=r"policy\.memory\.history: .*1 .*it is 0"):
        validate(CloningConfig(policy=PolicyConfig(memory=MemoryConfig(history=0))))


def test_what_is_wrong_with_a_whole_table_is_told_without_all_of_it(tmp_path: Path) -> None:
    profile = shelf_entries("real")["virtual-so101"].read_text()
    for broken, says in (
        (profile.replace('{ "gripper.pos" =', '{ "griper.pos" ='), "no joint griper.pos"),
        (profile.replace('"elbow_flex.pos"', '"wrist_flex.pos"'), "two joints"),
    ):
        path = tmp_path / "profile.toml"
        path.write_text(broken)
        with pytest.raises(ShelfError, match=says) as refused:
            load_arm(str(path))
        assert len(str(refused.value)) < len(str(path)) + 120
        assert str(refused.value).startswith(f"{path}: ")
