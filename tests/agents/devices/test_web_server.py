"""The page's server: who may drive, what it does with bad input, and what it shows."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import imagecodecs
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from robolearn.agents.devices.display import Status
from robolearn.agents.devices.registry import Setting, make_device
from robolearn.agents.devices.requests import Request, Requests
from robolearn.agents.hand import Pose
from robolearn.episodes.frames import Observation
from robolearn.errors import DeviceError, MissingDependency

aiohttp = pytest.importorskip("aiohttp")
pytest.importorskip("cryptography")
pytest.importorskip("segno")

from robolearn.agents.devices.web.device import WebHands, open_page  # noqa: E402

ARM = Pose(np.array([0.5, 0.1, 1.0]), Rotation.identity())
STATUS = Status("recording", 3, 10, 1.5, 4.0, 20.0, 20.0, 0, 0, None, "")


class Page:
    """The server, and a browser's side of what it is told."""

    def __init__(self, *, usb: bool = True) -> None:
        self.requests = Requests()
        self.said = io.StringIO()
        context = SimpleNamespace(model_file=None)
        setting = Setting(context, self.requests.add, lambda text: self.said.write(text + "\n"))
        self.device: WebHands = open_page(setting, 0, usb=usb)
        address = next(line for line in self.said.getvalue().split("\n") if "://" in line)
        self.url, self.token = address.split("/#")
        self.sent = 0

    @property
    def origin(self) -> dict[str, str]:
        return {"Origin": self.url}

    async def pair(self, browser: Any, token: str | None = None) -> tuple[int, str]:
        body = json.dumps({"token": self.token if token is None else token})
        async with browser.post(f"{self.url}/pair", data=body, headers=self.origin) as answer:
            return answer.status, (await answer.json()).get("error", "")

    @contextlib.asynccontextmanager
    async def driving(self, browser: Any) -> AsyncIterator[Any]:
        assert await self.pair(browser) == (200, "")
        async with browser.ws_connect(f"{self.url}/link", headers=self.origin) as link:
            yield link

    async def pose(self, link: Any, x: float = 0.0, **changes: Any) -> None:
        """The right hand is that far to the person's right; 10 ms have passed by its clock."""
        self.sent += 1
        hand = {"position": [x, 0, 0], "rotation": [0, 0, 0, 1], "squeeze": 0.0, "trigger": 0.0}
        message = {"type": "hands", "time": 1e3 * time.monotonic(), "turn": 0.0, "scale": 1.0}
        await link.send_str(json.dumps({**message, "left": None, "right": hand | changes}))

    async def squeeze_and_move(self, link: Any) -> None:
        await self.pose(link)
        await self.pose(link, squeeze=1.0, trigger=1.0)
        await self.until(lambda: self.closed())
        await self.pose(link, 0.05, squeeze=1.0, trigger=1.0)
        await self.until(lambda: self.way() > 0)

    def asked(self, before: list[Request]) -> list[Request]:
        """What was asked, with that which was taken before."""
        while (request := self.requests.take()) is not None:
            before.append(request)
        return before

    def way(self) -> float:
        return float(np.abs(self.device.motions([ARM], 0.05)[0].way).max())

    def closed(self) -> bool:
        return self.device.motions([ARM], 0.05)[0].closed

    async def until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + 10
        while not true():
            assert time.monotonic() < end, "it never came true"
            await asyncio.sleep(0.005)


def browser(**settings: Any) -> Any:
    return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), **settings)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "robolearn" / "web"


@pytest.fixture
def page() -> Iterator[Page]:
    served = Page()
    yield served
    served.device.close()


async def heard(link: Any, kind: str) -> dict[str, Any]:
    while True:
        message = await link.receive(10)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        content: dict[str, Any] = json.loads(message.data)
        if content["type"] == kind:
            return content


async def closed(link: Any) -> tuple[int, str]:
    """Read until the server ends the conversation."""
    while True:
        message = await link.receive(10)
        if message.type is aiohttp.WSMsgType.CLOSE:
            return message.data, message.extra
        if message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}:
            return link.close_code, ""


def run(test: Awaitable[None]) -> None:
    asyncio.run(test)  # type: ignore[arg-type]


def test_the_page_is_encrypted_by_a_certificate_that_is_kept(state: Path) -> None:
    page = Page(usb=False)
    certificate = (state / "certificate.pem").read_bytes()
    assert (state / "key.pem").stat().st_mode & 0o777 == 0o600
    assert page.url.startswith("https://")
    assert "█" in page.said.getvalue(), "a code to be scanned"

    async def look() -> None:
        trusting = ssl.create_default_context(cadata=certificate.decode())
        async with browser(connector=aiohttp.TCPConnector(ssl=trusting)) as session:
            async with session.get(page.url) as answer:
                assert "robolearn" in await answer.text()
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
            async with session.get(f"{page.url}/certificate.crt") as answer:
                assert await answer.read() == certificate
            async with page.driving(session) as link:
                await page.squeeze_and_move(link)

    try:
        run(look())
    finally:
        page.device.close()
    again = Page(usb=False)
    again.device.close()
    assert (state / "certificate.pem").read_bytes() == certificate
    (state / "key.pem").chmod(0o644)
    Page(usb=False).device.close()
    assert (state / "certificate.pem").read_bytes() != certificate, "others may know the key"
    assert (state / "key.pem").stat().st_mode & 0o777 == 0o600


def test_a_certificate_is_made_anew_for_new_addresses_and_before_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from robolearn.agents.devices.web import certificate

    def made(*addresses: str) -> bytes:
        certificate.server_context(tmp_path, addresses)
        return (tmp_path / "certificate.pem").read_bytes()

    first = made("192.0.2.1", "192.0.2.9")
    assert made("192.0.2.9") == first
    second = made("192.0.2.7")
    assert second != first
    (tmp_path / "certificate.pem").write_text("broken")
    assert made("192.0.2.7") not in {first, second, b"broken"}
    monkeypatch.setattr(certificate, "_MARGIN", certificate._LIFETIME * 2)
    third = made("192.0.2.7")
    assert made("192.0.2.7") != third


def test_a_state_folder_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(DeviceError, match="the certificate cannot be kept in "):
        Page(usb=False)


def test_every_asset_is_served_and_nothing_else(page: Page) -> None:
    async def look() -> None:
        async with browser() as session:
            async with session.get(page.url) as answer:
                text = await answer.text()
            assert "/page/main.js" in text
            for name in ("main.js", "link.js", "scene.js", "style.css", "icon.svg"):
                async with session.get(f"{page.url}/page/{name}") as answer:
                    assert answer.status == 200
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
            for name in ("..%2fserver.py", "server.py", "../device.py"):
                async with session.get(f"{page.url}/page/{name}") as answer:
                    assert answer.status == 404

    run(look())


def test_the_token_is_good_for_one_browser(page: Page) -> None:
    async def look() -> None:
        async with browser() as first, browser() as second:
            status, error = await page.pair(first, "wrong")
            assert status == 403
            assert "scan its code again" in error
            assert await page.pair(first) == (200, "")
            assert await page.pair(first) == (200, ""), "it knows its secret"
            assert await page.pair(first, "") == (200, "")
            status, error = await page.pair(second)
            assert status == 403
            assert "Another browser drives already" in error
            with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                await second.ws_connect(f"{page.url}/link", headers=page.origin)
            async with page.driving(first) as link:
                await page.squeeze_and_move(link)

    run(look())


@pytest.mark.parametrize("body", ["", "[]", "{}", '"x"', "\ud800".encode("utf-8", "surrogatepass")])
def test_a_malformed_pairing_is_refused(page: Page, body: str | bytes) -> None:
    async def look() -> None:
        async with browser() as session:
            async with session.post(f"{page.url}/pair", data=body, headers=page.origin) as answer:
                assert answer.status in {400, 403}
            assert (await page.pair(session))[0] == 200, "the token is still good"

    run(look())


def test_another_sites_page_cannot_drive(page: Page) -> None:
    async def look() -> None:
        async with browser() as session:
            assert (await page.pair(session))[0] == 200
            for origin in ({"Origin": "https://elsewhere.example"}, {}):
                with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                    await session.ws_connect(f"{page.url}/link", headers=origin)
                async with session.post(f"{page.url}/pair", data="{}", headers=origin) as answer:
                    assert answer.status == 403

    run(look())


def test_a_second_tab_takes_over_from_the_first(page: Page) -> None:
    async def look() -> None:
        async with browser() as session, page.driving(session) as first:
            await page.squeeze_and_move(first)
            async with page.driving(session) as second:
                assert await closed(first) == (4001, "driven from another tab of this browser")
                assert page.way() == 0.0
                await page.squeeze_and_move(second)

    run(look())


def test_of_two_tabs_that_come_while_another_is_ended_one_drives(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = aiohttp.web.WebSocketResponse.close

    async def close_slowly(socket: Any, **how: Any) -> bool:
        await asyncio.sleep(0.3)
        return bool(await close(socket, **how))

    monkeypatch.setattr(aiohttp.web.WebSocketResponse, "close", close_slowly)

    async def look() -> None:
        async with browser() as paired, page.driving(paired) as first:
            address = f"{page.url}/link"
            opened = [paired.ws_connect(address, headers=page.origin) for _ in range(2)]
            tabs = await asyncio.gather(*opened)
            assert await closed(first) == (4001, "driven from another tab of this browser")
            codes = [await closed_soon(tab) for tab in tabs]
            assert sorted(codes, key=str) == [4001, None]

    run(look())


@contextlib.contextmanager
def nothing_on_the_screen(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nor is anything where nobody has set logging up, which pytest has."""
    handlers, logging.root.handlers = logging.root.handlers, []
    try:
        yield
    finally:
        logging.root.handlers = handlers
    assert capfd.readouterr().err == ""


async def closed_soon(link: Any) -> int | None:
    """The code it is closed with; None where it stays open."""
    end = time.monotonic() + 2
    while (left := end - time.monotonic()) > 0:
        with contextlib.suppress(TimeoutError):
            message = await link.receive(left)
            if message.type is aiohttp.WSMsgType.CLOSE:
                return int(message.data)
    return None


@pytest.mark.parametrize(
    "nonsense",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01" + b"\xff" * 100,
    ],
    ids=["header", "line", "encrypted"],
)
def test_nonsense_from_the_network_writes_nothing_on_the_screen(
    page: Page, nonsense: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    async def look() -> None:
        reader, writer = await asyncio.open_connection(*page.url.removeprefix("http://").split(":"))
        writer.write(nonsense)
        assert b" 400 " in await reader.readline()
        writer.close()

    with nothing_on_the_screen(capfd):
        run(look())


def test_a_pairing_nested_without_end_is_malformed(
    page: Page, capfd: pytest.CaptureFixture[str]
) -> None:
    async def look() -> None:
        async with browser() as stranger:
            deep = "[" * 2000
            async with stranger.post(f"{page.url}/pair", data=deep, headers=page.origin) as answer:
                assert answer.status == 400

    with nothing_on_the_screen(capfd):
        run(look())


async def flood(link: Any) -> None:
    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
        for _ in range(2000):
            await link.send_str('{"type":"ping","time":1}')


@pytest.mark.parametrize(
    ("send", "code", "says"),
    [
        (lambda link: link.send_str("{"), 1008, "malformed message: text: Invalid JSON"),
        (lambda link: link.send_str('{"type":"hands"}'), 1008, "malformed message: hands.time"),
        (lambda link: link.send_bytes(b"12"), 1003, "malformed message: it is no text"),
        (lambda link: link.send_str(" " * 5000), 1009, "malformed message: it is too long"),
        (flood, 1008, "too many messages"),
    ],
    ids=["text", "schema", "binary", "oversized", "flood"],
)
def test_bad_messages_end_the_conversation_and_hold_the_arm(
    page: Page, send: Callable[[Any], Awaitable[None]], code: int, says: str
) -> None:
    async def look() -> None:
        async with browser() as session:
            async with page.driving(session) as link:
                await page.squeeze_and_move(link)
                await send(link)
                got, reason = await closed(link)
                assert got == code
                assert reason.startswith(says)
                assert page.way() == 0.0
                assert page.closed(), "what is held is not dropped"
            await asyncio.sleep(0.6)  # a flood has to be over
            async with page.driving(session) as link:
                await page.squeeze_and_move(link)

    run(look())


def test_a_jump_of_a_metre_holds_the_arm_until_the_next_squeeze(page: Page) -> None:
    async def look() -> None:
        async with browser() as session, page.driving(session) as link:
            await page.squeeze_and_move(link)
            await page.pose(link, 1.05, squeeze=1.0, trigger=1.0)
            await page.until(lambda: page.way() == 0.0)
            assert page.closed()
            for _ in range(20):
                if (await heard(link, "status"))["held"]["right"] == "jump":
                    break
            else:
                pytest.fail("the page is not told why")
            await page.squeeze_and_move(link)

    run(look())


def test_poses_that_stop_hold_the_arm_though_the_connection_is_there(page: Page) -> None:
    async def look() -> None:
        async with browser() as session, page.driving(session) as link:
            await page.squeeze_and_move(link)
            await asyncio.sleep(0.2)
            assert page.way() == 0.0

    run(look())


def test_the_browser_is_gone_when_it_does_not_come_back_in_an_episode() -> None:
    page = Page()
    page.device._patience = 0.3

    async def look() -> None:
        async with browser() as session:
            page.device.show(STATUS, None)
            assert page.way() == 0.0, "nobody came yet"
            async with page.driving(session) as link:
                await page.squeeze_and_move(link)
            await page.until(lambda: page.way() == 0.0)
            async with page.driving(session) as link:
                await asyncio.sleep(0.4)
                await page.squeeze_and_move(link)
            await asyncio.sleep(0.5)
            with pytest.raises(DeviceError, match="the browser is gone"):
                page.way()
            page.device.show(Status(**(vars(STATUS) | {"phase": "ready"})), None)
            assert page.way() == 0.0, "between episodes a headset may be laid down"

    try:
        run(look())
    finally:
        page.device.close()


def test_what_is_pressed_is_asked(page: Page) -> None:
    async def look() -> None:
        async with browser() as session, page.driving(session) as link:
            for request in (Request.START, Request.KEEP, Request.STOP):
                await link.send_str(json.dumps({"type": "request", "request": request.value}))
            taken: list[Request] = []
            await page.until(lambda: len(page.asked(taken)) == 3)
            assert taken == [Request.START, Request.KEEP, Request.STOP]

    run(look())


def test_stop_halts_an_arm_without_the_loop(page: Page) -> None:
    halted = threading.Event()
    page.requests.stop_by(halted.set)

    async def look() -> None:
        async with browser() as session, page.driving(session) as link:
            await link.send_str('{"type":"request","request":"stop"}')
            await page.until(halted.is_set)

    run(look())


def test_the_page_is_told_how_things_are(page: Page) -> None:
    async def look() -> None:
        async with browser() as session, page.driving(session) as link:
            assert (await heard(link, "status"))["collection"] is None
            page.device.show(STATUS, None)
            await asyncio.sleep(0.2)
            for _ in range(3):
                told = await heard(link, "status")
            assert told["collection"]["kept"] == 3
            assert told["collection"]["phase"] == "recording"
            assert told["arms"] == 1
            await link.send_str('{"type":"ping","time":12.5}')
            assert (await heard(link, "pong"))["time"] == 12.5

    run(look())


def picture(value: int) -> Observation:
    images = {
        "observation.images.front": np.full((24, 32, 3), value, np.uint8),
        "observation.images.wrist": np.full((16, 16, 3), 255 - value, np.uint8),
        "observation.images.front_depth": np.zeros((24, 32, 1), np.float32),
        "observation.state.hand": np.zeros(3),
    }
    return Observation(images, {}, 0.0)


def test_of_images_the_newest_is_shown_and_none_wait(page: Page) -> None:
    async def images(link: Any) -> list[tuple[int, int, float]]:
        """Of both cameras: the image's number, the camera's, the mean."""
        got = []
        while len(got) < 2:
            message = await link.receive(10)
            if message.type is aiohttp.WSMsgType.BINARY:
                number, camera = np.frombuffer(message.data[:8], "<u4")
                decoded = imagecodecs.jpeg8_decode(message.data[8:])
                got.append((int(number), int(camera), float(decoded.mean())))
        return got

    async def look() -> None:
        async with browser() as session, page.driving(session) as link:
            page.device.show(STATUS, picture(10))
            assert (await heard(link, "cameras"))["names"] == ["front", "wrist"]
            first = await images(link)
            assert first == [(1, 0, pytest.approx(10, abs=2)), (1, 1, pytest.approx(245, abs=2))]
            for value in range(20, 120):
                page.device.show(STATUS, picture(value))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await images(link)
            await link.send_str('{"type":"seen","image":1}')
            second = await images(link)
            assert second[0] == (2, 0, pytest.approx(119, abs=2))

    run(look())


def test_handing_over_an_image_takes_the_loop_little_time(page: Page) -> None:
    observation = picture(7)
    begin = time.perf_counter()
    for _ in range(200):
        page.device.show(STATUS, observation)
    assert (time.perf_counter() - begin) / 200 < 0.01  # 20 µs; only that it never waits


def test_a_port_that_is_taken_is_named(page: Page) -> None:
    port = int(page.url.rsplit(":", 1)[1])
    setting = Setting(SimpleNamespace(model_file=None), Requests().add, lambda text: None)
    with pytest.raises(DeviceError, match=rf"127\.0\.0\.1:{port}.*ROBOLEARN_VR_PORT"):
        open_page(setting, port, usb=True)


@pytest.mark.parametrize("port", ["0", "70000", "-1", "http", "1_0"])
def test_a_port_that_is_none(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOLEARN_VR_PORT", port)
    setting = Setting(SimpleNamespace(model_file=None), Requests().add, lambda text: None)
    with pytest.raises(DeviceError, match="ROBOLEARN_VR_PORT is a number from 1 to 65535"):
        make_device("vr", setting)


@pytest.mark.parametrize("package", ["aiohttp", "segno", "cryptography"])
def test_without_the_extra_the_command_to_install_it_is_told(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("robolearn.agents.devices.web")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    setting = Setting(SimpleNamespace(model_file=None), Requests().add, lambda text: None)
    with pytest.raises(MissingDependency, match=r"pip install 'robolearn\[vr\]'"):
        make_device("vr", setting)


def test_closing_twice_is_fine_and_frees_the_port() -> None:
    page = Page()
    page.device.close()
    page.device.close()
    port = int(page.url.rsplit(":", 1)[1])
    setting = Setting(SimpleNamespace(model_file=None), Requests().add, lambda text: None)
    open_page(setting, port, usb=True).close()
