from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from robolearn.cli.main import run
from robolearn.episodes.formats.folder import FolderDataset, FolderWriter


@pytest.fixture
def varied(tmp_path: Path, lift_demonstrations: Path) -> Path:
    """Three episodes of 30, 50 and 80 frames, labelled in different ways."""
    source = FolderDataset(lift_demonstrations)
    with FolderWriter(tmp_path / "varied") as writer:
        for index, frames in enumerate((30, 50, 80)):
            episode = source.episode(index).part(0, frames)
            writer.add(
                replace(
                    episode,
                    operator="Ada" if index else "",
                    outcome=replace(episode.outcome, success=(None, False, True)[index]),
                    interventions=np.arange(frames) < 8,
                )
            )
    return tmp_path / "varied"


def test_the_text_fits_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, lift_demonstrations: Path
) -> None:
    monkeypatch.chdir(lift_demonstrations.parent)
    assert run(["info", "lift"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("lift: 20 episodes, 1600 frames at 20 Hz, 1 min 20 s, ")
    assert "  success   20 of 20" in lines
    assert "  length    80 frames each" in lines
    gripper = next(line for line in lines if line.split()[:1] == ["gripper"])
    assert gripper.split()[1:3] == ["-1", "1"]
    assert gripper.endswith("100%")


def test_lengths_labels_and_interventions(capsys: pytest.CaptureFixture[str], varied: Path) -> None:
    assert run(["info", str(varied)]) == 0
    text = capsys.readouterr().out
    assert "success   1 of 3, 1 unknown" in text
    assert "operator  Ada" in text
    assert "length    30 to 80 frames an episode" in text
    assert text.count("█ 1\n") == 3
    assert "interventions in 15.0% of the frames" in text


def test_json_has_all_of_it(capsys: pytest.CaptureFixture[str], varied: Path) -> None:
    assert run(["info", str(varied), "--json", "--all"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["successes"], values["unknown"], values["train"]) == (1, 1, 3)
    assert values["operators"] == {"": 1, "Ada": 2}
    assert values["lengths"]["min"] == 30
    assert sum(count for _, _, count in values["lengths"]["histogram"]) == 3
    assert values["bytes"] == sum(f.stat().st_size for f in varied.rglob("*") if f.is_file())
    assert values["seconds"] == 160 / 20
    streams = values["statistics"]["streams"]
    assert len(streams["observation.state.robot0_joint_pos"]["mean"]) == 7
    assert values["schema"]["action"]["high"] == [1] * 7


def test_of_many_episodes_some_are_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, lift_demonstrations: Path
) -> None:
    part = FolderDataset(lift_demonstrations).episode(0).part(0, 2)
    with FolderWriter(tmp_path / "many") as writer:
        for _ in range(40):
            writer.add(part)
    assert run(["info", str(tmp_path / "many")]) == 0
    assert "from 32 episodes of 40 (--all reads all):" in capsys.readouterr().out


def test_a_damaged_episode_does_not_hide_the_others(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, varied: Path
) -> None:
    damaged = Path(shutil.copytree(varied, tmp_path / "damaged"))
    path = damaged / "episodes" / "episode_000001.hdf5"
    path.write_bytes(path.read_bytes()[:1000])
    assert run(["info", str(damaged)]) == 0
    assert "1 could not be read (`robolearn check`): 1" in capsys.readouterr().out
