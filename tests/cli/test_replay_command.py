from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from robolearn.cli.main import run
from robolearn.episodes.features import SIMULATOR_STATE
from robolearn.episodes.formats.folder import FolderDataset, FolderWriter


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes, recorded in a process of their own."""
    folder = tmp_path_factory.mktemp("recorded") / "demos"
    arguments = ["record", "sim:lift", "--to", str(folder), "--episodes", "2", "--processes", "1"]
    subprocess.run([sys.executable, "-m", "robolearn", *arguments], check=True, capture_output=True)
    return folder


def said(capsys: pytest.CaptureFixture[str], *arguments: object, expect: int = 0) -> str:
    assert run(["replay", *map(str, arguments)]) == expect
    output = capsys.readouterr()
    return output.out if expect != 2 else output.err.splitlines()[-1]


def test_another_process_gives_the_same_bits(
    demos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, suffix in (([], ""), (["--from-seed"], ", from the seeds")):
        lines = said(capsys, demos, "--tolerance", 0, *arguments).splitlines()
        assert lines[0] == "episodes 0-1: the same to the last bit in 80 frames each"
        assert lines[1].startswith("compared: observation.environment_state, ")
        assert lines[1].endswith(", reward, simulator_state, success")
        assert lines[2] == (
            f"{demos} on sim:lift{suffix}: 2 episodes, 160 frames: 2 the same to the last bit"
        )


def test_other_forms(demos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("demos.hdf5", "demos.zarr"):
        assert run(["convert", str(demos), str(tmp_path / name)]) == 0
        capsys.readouterr()
        text = said(capsys, tmp_path / name, "--episodes", 1, "--tolerance", 0)
        assert text.startswith("episode 1: the same to the last bit in 80 frames\n"), name


@pytest.fixture
def mixed(demos: Path, tmp_path: Path) -> Path:
    """A good one, one with another action, one with a NaN, a trimmed one, a damaged one."""
    source = FolderDataset(demos)
    good = source.episode(0)
    actions = good.actions.copy()
    actions[30, 0] = -np.sign(actions[30, 0]) or 1
    broken = good.actions.copy()
    broken[12, 3] = np.nan
    with FolderWriter(tmp_path / "mixed") as writer:
        writer.add(good)
        writer.add(dataclasses.replace(good, actions=actions))
        writer.add(dataclasses.replace(good, actions=broken))
        writer.add(good.part(10, 40))
        writer.add(good)
    damaged = tmp_path / "mixed" / "episodes" / "episode_000004.hdf5"
    damaged.write_bytes(damaged.read_bytes()[:2000])
    return tmp_path / "mixed"


def test_each_episode_has_its_line(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, tampered, broken, trimmed, damaged, *_, verdict = said(
        capsys, mixed, expect=1
    ).splitlines()
    assert good == "episode 0: the same to the last bit in 80 frames"
    assert tampered.startswith("episode 1: 80 frames, largest difference ")
    assert "above 1e-06 from frame 31 on" in tampered
    assert SIMULATOR_STATE in tampered
    assert broken == "episode 2: cannot be replayed: frame 12: its action is not finite"
    assert trimmed.startswith("episode 3: cannot be replayed: it begins 0.5 s after a reset")
    assert damaged.startswith("episode 4: cannot be replayed: ")
    assert "episode_000004.hdf5" in damaged
    assert "5 episodes, 160 frames: 1 the same to the last bit, 1 not within 1e-06" in verdict
    assert ", 3 cannot be replayed; the largest difference is " in verdict
    assert verdict.endswith(", episode 1")


def test_the_result_for_machines(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = json.loads(said(capsys, mixed, "--json", "--episodes", 1, 0, 2, expect=1))
    assert (result["on"], result["same"], result["tolerance"]) == ("sim:lift", False, 1e-6)
    tampered, good, broken = result["episodes"]
    assert [episode["episode"] for episode in result["episodes"]] == [1, 0, 2]
    assert tampered["first"]["feature"] == SIMULATOR_STATE
    assert tampered["first"]["frame"] == 31
    assert tampered["largest"]["size"] > 1e-3
    assert (good["same"], good["exact"], good["largest"]) == (True, True, None)
    assert broken["refused"] == "frame 12: its action is not finite"


def test_a_tolerance(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, mixed, "--episodes", 0, 1, "--tolerance", 100)
    assert "1 the same to the last bit, 1 within 100; the largest" in text


def test_what_is_refused(
    demos: Path, line_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lift = ("--on", "sim:lift")
    for arguments, reason in (
        ((), "missing: DATASET"),
        ((tmp_path / "none",), "there is no dataset"),
        ((demos, "--episodes", 0, 7), "has no episode 7; it has 2, from 0 to 1"),
        ((demos, "--on", "sim:none"), "unknown target 'sim:none'"),
        ((demos, "--tolerance", -1), "--tolerance: input should be greater than or equal to 0"),
        ((demos, "--tolerance", "nan"), "--tolerance: "),
        ((demos, "--on", "sim:stack"), "none of 2 episodes can be replayed on sim:stack: .*Lift"),
        ((line_dataset,), "no task of the shelf is that of the dataset .environment Line"),
        ((line_dataset, *lift), "another environment than the task's: Line, not Lift"),
    ):
        text = said(capsys, *arguments, expect=2)
        assert text.startswith("robolearn: error: ")
        assert re.search(reason, text), text


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run(["replay", "--help"])
    assert end.value.code == 0
    assert "Example: robolearn replay demos --episodes 0 3" in capsys.readouterr().out
