"""``--view`` of what drives something: it is shown, and whatever becomes of the viewer goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "environments" / "arms"))

import paper

from robolearn.cli.main import run
from robolearn.episodes.formats.folder import FolderDataset
from robolearn.viewing import viewer

LIFT = ["record", "sim:lift", "--episodes", "1", "--failures", "--to"]

LISTENS = """
import os, pathlib, socket, sys, threading, time
port = int(sys.argv[sys.argv.index("--port") + 1])
server = socket.create_server(("127.0.0.1", port))
pathlib.Path({process!r}).write_text(str(os.getpid()))
time.sleep({seconds})
"""
"""A viewer that takes what is sent, and is closed after some seconds."""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a program in the place of Rerun's viewer; gives the file with its number."""

    def replace(seconds: float) -> Path:
        process = tmp_path / "process"
        package = tmp_path / "fake" / "rerun_cli"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        program = LISTENS.format(seconds=seconds, process=str(process))
        (package / "__main__.py").write_text(program)
        monkeypatch.setenv("PYTHONPATH", str(package.parent))
        monkeypatch.setattr(viewer, "free_web_port", _free_ports)
        return process

    return replace


def _free_ports() -> int:
    for port in range(20000 + os.getpid() % 20000, 60000, 2):
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
        return port
    raise OSError("no two free ports")


def is_gone(process: Path) -> bool:
    for _ in range(300):
        try:
            os.kill(int(process.read_text()), 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    os.kill(int(process.read_text()), signal.SIGKILL)
    return False


def test_a_viewer_that_is_closed_while_recording_changes_nothing(
    fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*LIFT, str(tmp_path / "alone"), "--processes", "1"]) == 0
    capsys.readouterr()
    process = fake(3.0)
    assert run([*LIFT, str(tmp_path / "seen"), "--view", "web"]) == 0
    out = capsys.readouterr().out
    assert "look at http://127.0.0.1:" in out
    assert "the viewer was closed; everything else goes on without it" in out
    alone, seen = (FolderDataset(tmp_path / name).episode(0) for name in ("alone", "seen"))
    np.testing.assert_array_equal(alone.actions, seen.actions)
    assert is_gone(process)


def test_an_arm_is_seen_while_it_is_led_and_while_a_policy_drives(
    fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patient = {"agent": 10.0, "joints": 10.0, "cameras": 10.0}
    leader = paper.leader(tmp_path)
    arm = paper.write(
        tmp_path, paper.profile(tmp_path, leader=leader, horizon=20, watchdog=patient)
    )
    (tmp_path / "hand").write_text(json.dumps([30.0, -20.0, 10.0, 50.0]))
    process = fake(60.0)
    demos, learnt = str(tmp_path / "demos"), str(tmp_path / "run")
    record = ["record", str(arm), "--by", "leader", "--to", demos, "--episodes", "2"]
    assert run([*record, "--view", "web"]) == 0
    out = capsys.readouterr().out
    assert "look at http://127.0.0.1:" in out
    assert "the arm is not shown: " in out  # it has no model
    assert len(FolderDataset(Path(demos))) == 2
    assert is_gone(process), "the viewer outlived the command"
    tiny = ["--steps", "3", "--batch", "8", "--policy.memory.hidden", "8"]
    assert run(["train", demos, "--to", learnt, *tiny]) == 0
    capsys.readouterr()
    assert run(["deploy", learnt, "--on", str(arm), "--view", "web"]) == 0
    assert "look at http://127.0.0.1:" in capsys.readouterr().out
    assert is_gone(process)


def test_without_a_display_a_window_is_refused_before_anything_is_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert run([*LIFT, str(tmp_path / "demos"), "--view"]) == 2
    message = capsys.readouterr().err
    assert "no display here; look at it in a browser (--view web" in message.splitlines()[-1]
    assert not (tmp_path / "demos").exists()


def test_two_viewers_are_not_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*LIFT, str(tmp_path / "demos"), "--view", "web", "window"]) == 2
    message = capsys.readouterr().err
    assert "--view" in message
    assert len(message.splitlines()) == 1
