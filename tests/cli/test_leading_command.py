"""A person with a leader arm: the session in a terminal, and buttons on a page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typist import Typist

sys.path.insert(0, str(Path(__file__).parents[1] / "environments" / "arms"))

import paper

from robolearn.cli.main import run
from robolearn.episodes.formats.folder import FolderDataset, FolderWriter

SWAY = 4.0
"""Degrees by which the leader of paper sways."""

PATIENT = {"agent": 20.0, "joints": 20.0, "cameras": 20.0}


@pytest.fixture
def arm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The arm of paper, with a leader; further processes find its driver, too."""
    monkeypatch.setenv("PYTHONPATH", f"{paper.PLUGINS}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    profile = paper.profile(tmp_path, leader=paper.leader(tmp_path), horizon=5000, watchdog=PATIENT)
    hold(tmp_path, 30.0)
    return str(paper.write(tmp_path, profile))


def hold(folder: Path, turn: float) -> None:
    """Hold the leader there, degrees about the vertical."""
    (folder / "new").write_text(json.dumps([turn, -20.0, 10.0, 50.0]))
    (folder / "new").rename(folder / "hand")


def turns(folder: Path) -> np.ndarray:
    """What the first joint was told, degrees."""
    targets = paper.sent(folder)[1]
    return targets[:, 0] if len(targets) else np.zeros(0)


def test_a_session_with_a_leader_arm(arm: str, tmp_path: Path) -> None:
    demos = tmp_path / "demos"
    record = ["record", arm, "--by", "leader", "--to", str(demos), "--episodes", "2"]
    with Typist(record) as typist:
        seen = typist.wait_for("PUT BACK")
        assert np.ptp(turns(tmp_path)) < 0.1 if len(turns(tmp_path)) else True
        seen += typist.read(1.0)
        assert "latency: joints" in seen  # of what was said before, the last lines
        typist.type("\n")
        typist.wait_for("READY")  # it went to where the leader is held
        assert turns(tmp_path)[-1] == pytest.approx(30.0, abs=SWAY)
        hold(tmp_path, 45.0)
        typist.wait_for("RECORDING")
        typist.read(1.0)
        typist.type("y")
        typist.wait_for("PUT BACK")
        told = len(turns(tmp_path))
        hold(tmp_path, -60.0)
        typist.read(0.5)
        assert np.ptp(turns(tmp_path)[told:]) < 0.1 if len(turns(tmp_path)) > told else True
        typist.type("\n")
        typist.wait_for("READY")
        typist.type("\n")  # or by a word
        typist.wait_for("RECORDING")
        typist.type("x")
        typist.wait_for("PUT BACK")
        typist.type("q")
        status, last = typist.end()
    assert status == 0, last[-2000:]
    assert "1 episode recorded, 1 thrown away" in last
    dataset = FolderDataset(demos)
    episode = dataset.episode(0)
    assert len(dataset) == 1
    assert dataset.summaries[0].success is True
    assert episode.agent == "leader"
    assert np.rad2deg(episode.actions[-1, 0]) == pytest.approx(45.0, abs=SWAY)


def test_a_terminal_that_is_gone_stops_the_arm(arm: str, tmp_path: Path) -> None:
    demos = tmp_path / "demos"
    with Typist(["record", arm, "--by", "leader", "--to", str(demos)]) as typist:
        typist.wait_for("PUT BACK")
        typist.type("\n")
        typist.wait_for("READY")
        typist.type("\n")
        typist.wait_for("RECORDING")
        typist.read(1.0)
        typist.hang_up()
        typist.process.wait(timeout=60)
    with FolderWriter(demos) as writer:
        (episode,) = writer.in_flight().values()
    assert len(episode) > 2


class Browser:
    """A phone that opened the page of a command that runs."""

    def __init__(self, arguments: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "robolearn", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"ROBOLEARN_VR_PORT": str(_free_port())},
        )
        self.said: list[str] = []
        self.link: Any = None

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Any]:
        aiohttp = pytest.importorskip("aiohttp")
        address = await asyncio.to_thread(self._address)
        url, token = address.split("/#")
        url = f"https://127.0.0.1:{url.rsplit(':', 1)[1]}"
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        connector = aiohttp.TCPConnector(ssl=trusting)
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as browser:
            body, headers = json.dumps({"token": token}), {"Origin": url}
            async with browser.post(f"{url}/pair", data=body, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
            async with browser.ws_connect(f"{url}/link", headers=headers) as self.link:
                yield self

    def _address(self) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if "/#" in line:
                return line.strip()
        raise AssertionError(f"no address: {self.said}")

    async def phase(self, wanted: str) -> dict[str, Any]:
        """Wait until that is shown."""
        async with asyncio.timeout(90):
            async for message in self.link:
                told = json.loads(message.data) if isinstance(message.data, str) else {}
                collection = told.get("collection") or {}
                if collection.get("phase") == wanted:
                    assert told["arms"] == 0
                    return collection
        raise AssertionError(f"never {wanted}: {self.said}")

    async def ask(self, request: str) -> None:
        await self.link.send_str(json.dumps({"type": "request", "request": request}))

    def end(self) -> str:
        out, _ = self.process.communicate(timeout=60)
        self.said.append(out)
        return "".join(self.said)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@pytest.fixture
def browsers() -> Iterator[list[Browser]]:
    opened: list[Browser] = []
    yield opened
    for browser in opened:
        browser.process.kill()
        browser.process.wait()


def test_buttons_on_a_page_record_and_deploy(
    arm: str, tmp_path: Path, browsers: list[Browser]
) -> None:
    demos, learnt, trials = (str(tmp_path / name) for name in ("demos", "run", "trials"))
    record = ["record", arm, "--by", "leader", "--to", demos, "--episodes", "5"]
    browsers.append(recording := Browser([*record, "--buttons", "page"]))

    async def collect() -> None:
        async with recording.opened():
            await recording.phase("resetting")
            await recording.ask("start")
            await recording.phase("ready")
            await recording.ask("start")
            assert (await recording.phase("recording"))["kept"] == 0
            await asyncio.sleep(1.0)
            await recording.ask("keep")
            assert (await recording.phase("resetting"))["kept"] == 1
            await recording.ask("start")
            await recording.phase("ready")
            await recording.ask("start")
            await recording.phase("recording")
            await recording.ask("stop")
            await asyncio.to_thread(recording.end)

    asyncio.run(collect())
    out = "".join(recording.said)
    assert recording.process.returncode == 0, out
    assert "robolearn edit" in out  # for what the stop broke off
    assert FolderDataset(Path(demos)).summaries[0].success is True
    tiny = ["--steps", "3", "--batch", "8", "--policy.memory.hidden", "8"]
    assert run(["train", demos, "--to", learnt, *tiny]) == 0
    deploy = ["deploy", learnt, "--on", arm, "--episodes", "5", "--to", trials]
    before = len(turns(tmp_path))
    browsers.append(deploying := Browser([*deploy, "--buttons", "page"]))

    async def judge() -> None:
        async with deploying.opened():
            assert (await deploying.phase("resetting"))["kept"] == 0
            await deploying.ask("keep")  # there is nothing to judge yet
            await asyncio.sleep(0.5)
            held = turns(tmp_path)[before:]
            assert not len(held) or np.ptp(held) < 0.1  # the code was scanned, and nothing moves
            await deploying.ask("start")
            await deploying.phase("deploying")
            await asyncio.sleep(0.5)
            await deploying.ask("failure")
            assert (await deploying.phase("resetting"))["kept"] == 1
            told = len(turns(tmp_path))
            await asyncio.sleep(1.0)
            assert np.ptp(turns(tmp_path)[told - 1 :]) < 0.1  # it stands
            await deploying.ask("start")
            while (await deploying.phase("deploying"))["kept"] != 1:
                """The last that was told of the first episode."""
            await deploying.ask("stop")
            await asyncio.to_thread(deploying.end)

    asyncio.run(judge())
    out = "".join(deploying.said)
    assert out.count("put everything in place, step back, and press Enter") == 2
    assert "the arm was stopped; it holds where it is" in out
    assert deploying.process.returncode == 1
    assert FolderDataset(Path(trials)).summaries[0].success is False


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--by", "gamepad", "--buttons", "gamepad"], "has these buttons: leave --buttons gamepad"),
        (["--by", "scripted", "--buttons", "page"], "--buttons are for a person"),
        (["--by", "keyboard", "--buttons", "telephone"], "--buttons"),
    ],
)
def test_buttons_that_are_none(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from robolearn.agents.devices import registry

    monkeypatch.setattr(registry, "make_device", _pad)
    assert run(["record", "sim:lift", *arguments, "--to", str(tmp_path / "d")]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


def _pad(name: str, setting: Any) -> Any:
    class Pad:
        reads_terminal = True
        help = ()

        def close(self) -> None: ...

    return Pad()
