"""The viewer is a process that ends with us, listens to this machine, and says why it does not."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time

import pytest

from robolearn.errors import MissingDependency
from robolearn.viewing import viewer

LISTENS = """
import json, pathlib, socket, sys, time
arguments = sys.argv[1:]
pathlib.Path(TOLD).write_text(json.dumps(arguments))
server = socket.create_server(("127.0.0.1", int(arguments[arguments.index("--port") + 1])))
time.sleep(60)
"""


@pytest.fixture
def ports():
    """Two free ports that follow each other."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
        return port


def is_gone(process):
    for _ in range(300):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    return False


def test_without_a_display_one_line_says_what_to_do(blind, tmp_path):
    with pytest.raises(MissingDependency, match=r"no display here.*--web.*file") as told:
        viewer.in_window(tmp_path / "demos.rrd")
    assert "\n" not in str(told.value)


def test_the_window_gets_the_file(seeing, fake_viewer, tmp_path):
    fake_viewer(
        "import json, pathlib, sys\n"
        f"pathlib.Path({str(tmp_path / 'told')!r}).write_text(json.dumps(sys.argv[1:]))"
    )
    with viewer.in_window(tmp_path / "a b.rrd") as shown:
        shown.wait()
    arguments = json.loads((tmp_path / "told").read_text())
    assert arguments[0] == str(tmp_path / "a b.rrd")
    assert arguments[arguments.index("--bind") + 1] == "127.0.0.1"


def test_a_viewer_that_fails_is_one_line(seeing, fake_viewer, tmp_path):
    fake_viewer("import sys\nsys.exit('much\\nno GPU found')")
    with (
        viewer.in_window(tmp_path / "x.rrd") as shown,
        pytest.raises(MissingDependency, match=r"no GPU found.*--web") as told,
    ):
        shown.wait()
    assert "\n" not in str(told.value)


def test_a_missing_program_is_one_line_that_says_how_to_install_it(fake_viewer, ports):
    fake_viewer("import sys\nsys.exit('Error: rerun binary not found')")
    with pytest.raises(MissingDependency, match=r"binary not found.*--force-reinstall rerun-sdk"):
        viewer.in_browser(port=ports)


def test_a_viewer_that_never_listens(fake_viewer, ports, monkeypatch):
    fake_viewer("import time\ntime.sleep(60)")
    monkeypatch.setattr(viewer, "_PATIENCE", 0.5)
    with pytest.raises(MissingDependency, match="does not answer"):
        viewer.in_browser(port=ports)


def test_a_page_is_served_to_this_machine_only(fake_viewer, ports, tmp_path):
    fake_viewer(LISTENS.replace("TOLD", repr(str(tmp_path / "told"))))
    with viewer.in_browser(tmp_path / "x.rrd", ports) as shown:
        assert not shown.closed
        assert shown.address == (
            f"http://127.0.0.1:{ports}/?url=rerun%2Bhttp://127.0.0.1:{ports + 1}/proxy"
        )
        assert shown.uri == f"rerun+http://127.0.0.1:{ports + 1}/proxy"
        arguments = json.loads((tmp_path / "told").read_text())
    assert shown.closed
    assert arguments[arguments.index("--bind") + 1] == "127.0.0.1"
    assert arguments[arguments.index("--web-viewer-port") + 1] == str(ports)


@pytest.mark.parametrize("offset", [0, 1])
def test_a_port_that_is_in_use_is_named(ports, offset):
    with (
        socket.create_server(("127.0.0.1", ports + offset)),
        pytest.raises(MissingDependency, match=rf"port {ports + offset} is in use.*--port"),
    ):
        viewer.in_browser(port=ports)


@pytest.mark.parametrize("offset", [0, 1])
def test_a_live_view_takes_the_next_ports_that_are_free(ports, offset, monkeypatch):
    monkeypatch.setattr(viewer, "WEB_PORT", ports)
    assert viewer.free_web_port() == ports
    with socket.create_server(("127.0.0.1", ports + offset)):
        assert viewer.free_web_port() >= ports + 2


def test_ctrl_c_ends_the_viewer_and_its_children(seeing, fake_viewer, tmp_path):
    alive = tmp_path / "alive"
    fake_viewer(
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
    with pytest.raises(KeyboardInterrupt), viewer.in_window(tmp_path / "x.rrd") as shown:
        shown.wait()
    thread.join()
    assert is_gone(int(alive.read_text())), "the viewer outlived Ctrl-C"
