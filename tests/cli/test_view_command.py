"""``robolearn view`` as one types it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import h5py
import numpy as np
import pytest
from rerun.experimental import RrdReader

from robolearn.cli.main import run
from robolearn.episodes.episode import Episode
from robolearn.episodes.features import ActionFeature, Feature
from robolearn.episodes.formats.folder import FolderWriter
from robolearn.episodes.frames import EpisodeContext, Outcome

CONTEXT = EpisodeContext(
    {"observation.state": Feature("float32", (2,), ("x", "y"))},
    ActionFeature("float32", (1,), ("x",), (-1.0,), (1.0,)),
    "Go there.",
    10.0,
)


def make_episode(steps: int) -> Episode:
    time_, flags = np.arange(steps) / 10, np.zeros(steps, bool)
    actions = np.zeros((steps, 1), np.float32)
    return Episode(
        context=CONTEXT,
        observations={"observation.state": np.zeros((steps, 2), np.float32)},
        actions=actions,
        actions_asked=actions,
        rewards=np.zeros(steps),
        success=flags,
        interventions=flags,
        time=time_,
        timestamps={"observation.state": time_, "action": time_},
        outcome=Outcome(steps, None, None, "horizon"),
        agent="tester",
        recorded_at=None,
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four episodes, numbered 0, 1, 3 and 4."""
    path = tmp_path_factory.mktemp("view") / "demos"
    with FolderWriter(path) as writer:
        for number in range(5):
            writer.add(make_episode(3 + number))
    assert run(["edit", str(path), "delete", "2"]) == 0
    return path


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


def frames(recording: Path) -> int:
    """Of all actions that a recording shows."""
    return sum(
        chunk.to_record_batch().num_rows
        for chunk in RrdReader(str(recording)).stream().to_chunks()
        if chunk.entity_path == "/action/arm" and "frame" in chunk.to_record_batch().schema.names
    )


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [([], 3 + 4 + 6 + 7), (["--all"], 20), (["--episode", "3"], 6), (["--episode", "4", "0"], 10)],
)
def test_the_episodes_asked_for(
    dataset: Path, tmp_path: Path, chosen: list[str], expected: int
) -> None:
    recording = tmp_path / "r.rrd"
    assert run(["view", str(dataset), *chosen, "--save", str(recording)]) == 0
    assert frames(recording) == expected


def test_of_many_the_first_are_shown_and_that_is_said(
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("robolearn.cli.view._FEW", 2)
    assert run(["view", str(dataset), "--save", str(tmp_path / "r.rrd")]) == 0
    assert "the first 2 of 4 episodes; --all" in capsys.readouterr().out
    assert frames(tmp_path / "r.rrd") == 7


def test_what_is_left_out_is_said(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is neither a camera nor a simulator's state, and the curves are there all the same."""
    assert run(["view", str(dataset), "--save", str(tmp_path / "r.rrd")]) == 0
    assert "the arm is not shown" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--episode", "2"], "no episode 2 in .*it has 0 to 4, some of them deleted"),
        (["--episode", "-1"], "--episode"),
        (["--episode", "0", "--all"], "either --all or"),
        (["--overlay", "--episode", "3"], "--overlay compares episodes: name two or more"),
        (["--overlay", "--reward", "run"], "not of an --overlay|no policy"),
        (["--save", "r.mp4"], r"--save r.mp4: name a file that ends in \.rrd"),
        (["--save", "r.rrd", "--web"], "either --save a file or"),
        (["--port", "80"], "--port"),
        (["--reward", "nowhere"], "no policy in nowhere"),
        ([], "no display here; look in a browser with --web, or --save demos.rrd"),
    ],
)
def test_a_wrong_request_is_one_line(
    dataset: Path,
    blind: None,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    reason: str,
) -> None:
    assert run(["view", str(dataset), *options]) == 2
    message = capsys.readouterr().err
    assert len(message.splitlines()) == 1
    assert re.search(reason, message), message


def test_an_empty_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    with h5py.File(tmp_path / "file.hdf5", "w") as file:
        file.create_group("data")
    for name, reason in (("folder", "is no dataset"), ("file.hdf5", "no demonstrations")):
        assert run(["view", str(tmp_path / name), "--save", str(tmp_path / "r.rrd")]) == 2
        message = capsys.readouterr().err
        assert len(message.splitlines()) == 1
        assert reason in message
    assert not (tmp_path / "r.rrd").exists()


def test_options_of_datasets_are_refused_for_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.rrd").write_bytes(b"RRF2")
    assert run(["view", str(tmp_path / "r.rrd"), "--episode", "1"]) == 2
    assert "--episode needs a dataset" in capsys.readouterr().err


@pytest.mark.parametrize("kept", [0, 20, 100])
def test_a_file_of_which_nothing_is_left(
    dataset: Path,
    tmp_path: Path,
    kept: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    recording = tmp_path / "r.rrd"
    assert run(["view", str(dataset), "--save", str(recording)]) == 0
    recording.write_bytes(recording.read_bytes()[:kept])
    capsys.readouterr()
    assert run(["view", str(recording)]) == 2
    message = capsys.readouterr().err
    assert len(message.splitlines()) == 1
    assert "cut off" in message


def test_a_file_that_is_cut_off_at_its_end_is_shown_as_far_as_it_goes(
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    package = tmp_path / "fake" / "rerun_cli"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setenv("DISPLAY", ":0")
    recording = tmp_path / "r.rrd"
    assert run(["view", str(dataset), "--save", str(recording)]) == 0
    whole = recording.read_bytes()
    for content, cut in ((whole, False), (whole[: len(whole) * 2 // 3], True)):
        recording.write_bytes(content)
        capsys.readouterr()
        assert run(["view", str(recording)]) == 0
        assert ("is cut off at its end" in capsys.readouterr().out) == cut


def test_the_browser_s_page_is_served_here_until_ctrl_c(dataset: Path) -> None:
    port = _free_ports()
    command = [sys.executable, "-m", "robolearn", "view", str(dataset), "--web"]
    served = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.PIPE, text=True)
    try:
        assert served.stdout is not None
        line = next(line for line in served.stdout if "http" in line)
        address = re.search(r"http://127\.0\.0\.1:\d+/\?url=\S+", line)
        assert address is not None
        page = urllib.request.urlopen(address.group(), timeout=20).read()
        assert b"<html" in page.lower()
        busy = subprocess.run(
            [*command, "--port", str(port)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert busy.returncode == 2
        assert f"port {port} is in use" in busy.stderr
        served.send_signal(signal.SIGINT)
        assert served.wait(30) == 0
        for each in (port, port + 1):
            with socket.socket() as asking:
                assert asking.connect_ex(("127.0.0.1", each)) != 0, "the viewer outlived Ctrl-C"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(served.pid, signal.SIGKILL)
        served.wait()


def _free_ports() -> int:
    """The first of two that follow each other."""
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            with contextlib.suppress(OSError):
                second.bind(("127.0.0.1", port + 1))
                return port
        time.sleep(0.01)
    raise OSError("no two free ports")
