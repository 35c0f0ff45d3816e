from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from robolearn.cli.main import run
from robolearn.episodes.formats.folder import FolderDataset


def test_the_variation_is_recorded_with_the_episode(tmp_path: Path) -> None:
    """It is named in one order, whatever the order on the command line."""
    actions = {}
    for name, arguments, agent in (
        ("plain", [], "scripted"),
        ("some", ["pauses", "noise"], "scripted+noise+pauses"),
        ("all", ["all"], "scripted+speed+noise+approach+pauses"),
    ):
        command = ["record", "sim:lift", "--to", str(tmp_path / name), "--episodes", "1"]
        variation = ["--variation", *arguments] if arguments else []
        assert run([*command, "--failures", "--processes", "1", *variation]) == 0
        episode = FolderDataset(tmp_path / name).episode(0)
        assert episode.agent == agent
        actions[name] = episode.actions
    assert not np.allclose(actions["plain"], actions["some"])
    assert not np.allclose(actions["some"], actions["all"])


def test_distances_are_of_cameras(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["record", "sim:lift", "--to", str(tmp_path / "d"), "--camera-depth"]) == 2
    assert "--camera-depth is of the cameras that --cameras names" in capsys.readouterr().err


@pytest.mark.rendering
def test_distances_are_recorded_and_told_of_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    demos = str(tmp_path / "demos")
    asked = ["--cameras", "agentview", "--camera-height", "24", "--camera-width", "32"]
    record = ["record", "sim:lift", "--to", demos, "--episodes", "1", *asked, "--camera-depth"]
    assert run([*record, "--processes", "1"]) == 0
    capsys.readouterr()
    assert run(["info", demos]) == 0
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.strip().startswith("distance")]
    least, greatest, mean, deviation = map(float, line.split()[1:])
    assert 0.3 < least < mean < greatest < 10
    assert 0 < deviation < 2
    assert "agentview_depth  24x32x1 float32" in out


def test_an_unknown_variation_is_refused_with_the_known_ones(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command = ["record", "sim:lift", "--to", str(tmp_path / "d"), "--variation", "speeed"]
    assert run(command) == 2
    message = capsys.readouterr().err
    assert "'speeed'" in message
    assert all(name in message for name in ("speed", "noise", "approach", "pauses", "all"))
    assert len(message.splitlines()) == 1
