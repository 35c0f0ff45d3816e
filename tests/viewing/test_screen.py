"""Files are shown where there is a screen, and where there is none one line says what to do."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import webbrowser

import pytest

from robolearn.errors import MissingDependency
from robolearn.viewing import screen


@pytest.fixture
def blind(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)


@pytest.fixture
def seeing(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")


@pytest.fixture
def viewer(tmp_path, monkeypatch):
    """Puts a program of the test's own in the place of Rerun's viewer."""

    def replace(program):
        package = tmp_path / "fake" / "rerun_cli"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(program)
        monkeypatch.setenv("PYTHONPATH", str(package.parent))

    return replace


def test_without_a_display_one_line_names_the_file(blind, tmp_path):
    with pytest.raises(MissingDependency, match=r"no display.*demos\.rrd.*--serve-web") as told:
        screen.open_recording(tmp_path / "demos.rrd")
    assert "\n" not in str(told.value)
    with pytest.raises(MissingDependency, match=r"report\.html"):
        screen.open_report(tmp_path / "report.html")


def test_the_viewer_gets_the_file(seeing, viewer, tmp_path):
    viewer(
        "import json, pathlib, sys\n"
        f"pathlib.Path({str(tmp_path / 'told')!r}).write_text(json.dumps(sys.argv[1:]))"
    )
    screen.open_recording(tmp_path / "a b.rrd")
    assert json.loads((tmp_path / "told").read_text()) == [str(tmp_path / "a b.rrd")]


def test_a_viewer_that_fails_is_one_line(seeing, viewer, tmp_path):
    viewer("import sys\nsys.exit('much\\nno GPU found')")
    with pytest.raises(MissingDependency, match=r"no GPU found.*x\.rrd") as told:
        screen.open_recording(tmp_path / "x.rrd")
    assert "\n" not in str(told.value)


def test_ctrl_c_ends_the_viewer_and_its_children(seeing, viewer, tmp_path):
    alive = tmp_path / "alive"
    viewer(
        "import subprocess, sys\n"
        "subprocess.call([sys.executable, '-c', '''import os, pathlib, time\n"
        f"pathlib.Path({str(alive)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(60)'''])"
    )

    def interrupt():
        while not (alive.is_file() and alive.read_text()):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        screen.open_recording(tmp_path / "x.rrd")
    thread.join()
    child = int(alive.read_text())
    for _ in range(200):
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the viewer outlived Ctrl-C")


def test_a_report_is_opened_in_the_browser(seeing, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: bool(opened.append(address)) or True)
    screen.open_report(tmp_path / "report.html")
    assert opened == [(tmp_path / "report.html").resolve().as_uri()]
