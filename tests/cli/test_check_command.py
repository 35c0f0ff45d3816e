from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from robolearn.cli.main import run


@pytest.fixture
def few(tmp_path: Path, lift_demonstrations: Path) -> Path:
    """The first three episodes of the set that ships, without their checksums."""
    episodes = tmp_path / "few" / "episodes"
    episodes.mkdir(parents=True)
    for number in range(3):
        shutil.copy(lift_demonstrations / "episodes" / f"episode_{number:06}.hdf5", episodes)
    return tmp_path / "few"


def damage(few: Path, number: int, frame: int) -> None:
    path = few / "episodes" / f"episode_{number:06}.hdf5"
    with h5py.File(path, "r+") as file:
        values = file["data/demo_0/obs/robot0_eef_pos"][()]
        values[frame] = np.nan
        file["data/demo_0/obs/robot0_eef_pos"][...] = values


def test_a_warning_is_no_failure_unless_it_shall_be(
    capsys: pytest.CaptureFixture[str], few: Path
) -> None:
    assert run(["check", str(few)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["warning", str(few)]
    assert lines[-1] == f"{few}: 3 episodes, 240 frames: 0 errors, 1 warning"
    assert run(["check", str(few), "--strict"]) == 1


def test_an_error_names_episode_stream_and_frame(
    capsys: pytest.CaptureFixture[str], few: Path
) -> None:
    damage(few, 1, 17)
    assert run(["check", str(few)]) == 1
    lines = capsys.readouterr().out.splitlines()
    stream = "observation.state.robot0_eef_pos"
    assert lines[0].startswith(f"error: episode 1, {stream}, frame 17: NaN in robot0_eef_pos.x")
    assert lines[-1].endswith("3 episodes, 240 frames: 1 error, 1 warning")


def test_json_has_all_of_it(capsys: pytest.CaptureFixture[str], few: Path) -> None:
    for number in range(3):
        damage(few, number, 5 + number)
    (few / "episodes" / "episode_000001.hdf5").write_bytes(b"gone")
    assert run(["check", str(few), "--json"]) == 1
    values = json.loads(capsys.readouterr().out)
    assert (values["errors"], values["warnings"], values["unread"]) == (3, 1, [1])
    places = [(p["kind"], p["episode"], p["frames"]) for p in values["problems"]]
    assert ("not_finite", 2, [[7, 7]]) in places
    assert ("unreadable", 1, []) in places


def test_nothing_wrong(capsys: pytest.CaptureFixture[str], lift_demonstrations: Path) -> None:
    assert run(["check", str(lift_demonstrations), "--strict"]) == 0
    assert capsys.readouterr().out == (
        f"{lift_demonstrations}: 20 episodes, 1600 frames: nothing is wrong\n"
    )


def test_no_dataset_is_a_wrong_request(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["check", str(tmp_path)]) == 2
    assert "is no dataset" in capsys.readouterr().err
