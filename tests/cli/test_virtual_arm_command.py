"""``robolearn virtual-arm`` as another program uses it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from robolearn.cli.console import Console
from robolearn.cli.main import run
from robolearn.environments.virtual_arm.virtual_arm import RunningArm

COMMAND = [sys.executable, "-m", "robolearn", "virtual-arm", "--no-cameras"]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_serves_until_it_is_stopped(tmp_path: Path, stop: signal.Signals) -> None:
    folder = tmp_path / "arm"
    process = subprocess.Popen(
        [*COMMAND, "--json", "--folder", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    places = json.loads(process.stdout.readline())
    assert places["follower"] == str(folder / "follower")
    with RunningArm(folder) as arm:
        assert not arm.world().lifted
    process.send_signal(stop)
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    assert not folder.exists()


def test_stopped_while_it_tells_its_places(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a program that reads the places and ends it at once."""

    def interrupted(*told: object) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "arm"
    monkeypatch.setattr(Console, "result", interrupted)
    status = run(["virtual-arm", "--no-cameras", "--json", "--folder", str(folder)])
    assert status == 0, capsys.readouterr().err
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fps", "0"], "--fps: input should be greater than or equal to 1"),
        (["--seed", "-1"], "--seed: input should be greater than or equal to 0"),
        (["--height", "tall"], "tall"),
    ],
)
def test_wrong_arguments(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["virtual-arm", "--no-cameras", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_folder_in_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["virtual-arm", "--no-cameras", "--folder", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "choose another" in error
    assert error.count("\n") == 1
