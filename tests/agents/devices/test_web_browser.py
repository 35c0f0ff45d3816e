"""The page in a real browser: from entering VR to a cube that was lifted, and an episode of it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import emulated_headset
import numpy as np
import pytest
from emulated_headset import Controller
from scipy.spatial.transform import Rotation

pytest.importorskip("aiohttp")
pytest.importorskip("cryptography")
pytest.importorskip("segno")
if emulated_headset.missing():
    pytest.skip(emulated_headset.missing(), allow_module_level=True)

from robolearn.agents.devices.display import Status
from robolearn.agents.devices.registry import Setting
from robolearn.agents.devices.requests import Request, Requests
from robolearn.agents.devices.web import device as web_device
from robolearn.agents.hand import Pose
from robolearn.cli.main import run
from robolearn.episodes.formats.folder import FolderDataset, FolderWriter
from robolearn.episodes.frames import Observation

SMALL = (160, 160)
PHONE = (390, 844)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with emulated_headset.browser() as it:
        yield it


class Arm:
    """A hand that goes wherever it is asked to, at 50 Hz, and a collection that is made up."""

    def __init__(self) -> None:
        self.requests = Requests()
        said: list[str] = []
        setting = Setting(SimpleNamespace(model_file=None), self.requests.add, said.append)
        self.device = web_device.open_page(setting, 0, usb=False)
        host, rest = said[0].split("https://")[1].split()[0].rsplit(":", 1)
        self.url = f"https://{host}:{rest}"
        self.hand, self.closed = Pose(np.zeros(3), Rotation.identity()), False
        self.phase = "ready"
        self.asked: list[Request] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._live)
        self._thread.start()

    def _live(self) -> None:
        image = np.full((24, 32, 3), (200, 30, 30), np.uint8)
        while not self._ending.wait(0.02):
            motion = self.device.motions([self.hand], 0.02)[0]
            self.closed = motion.closed
            self.hand = Pose(
                self.hand.position + motion.way[:3],
                Rotation.from_rotvec(motion.way[3:]) * self.hand.rotation,
            )
            if (request := self.requests.take()) is not None:
                self.asked.append(request)
                self.phase = "recording" if request is Request.START else "ready"
            status = Status(self.phase, 2, 5, 1.0, 4.0, 50.0, 50.0, 0, 0, None, "")  # type: ignore[arg-type]
            self.device.show(status, Observation({"observation.images.front": image}, {}, 0.0))

    def close(self) -> None:
        self._ending.set()
        self._thread.join()
        self.device.close()


@pytest.fixture
def arm(chromium: Any) -> Iterator[Arm]:
    it = Arm()
    yield it
    for context in chromium.contexts:
        context.close()  # a page that is left open draws on
    it.close()


def until(page: Any, true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 120  # a new checkout compiles the simulation first
    while not true():
        assert time.monotonic() < end, what
        page.wait_for_timeout(20)


def squeeze(page: Any, controller: Controller, device: web_device.WebHands) -> None:
    """As a person does: once more where the arm was let go of meanwhile, on a busy machine."""
    for _ in range(20):
        controller.press("squeeze", 0.0)
        page.wait_for_timeout(150)
        controller.press("squeeze", 1.0)
        page.wait_for_timeout(150)
        if device.hands.held()["right"] is None:
            return
    pytest.fail("the arm is never moved")


def test_the_page_pairs_shows_the_camera_and_hides_the_token(chromium: Any, arm: Arm) -> None:
    page = emulated_headset.open_page(chromium, arm.url, quest=False, size=(1200, 800))
    page.wait_for_selector("#link[data-state=open]")
    assert "#" not in page.url, "the token stays in no history"
    page.wait_for_selector("#pictures canvas")
    page.wait_for_function(
        """() => document.querySelector("#pictures canvas").getContext("2d")
                 .getImageData(5, 5, 1, 1).data[0] > 150"""
    )
    page.click("text=Start")
    page.wait_for_selector("body[data-phase=recording]")
    page.click("#stop")
    until(page, lambda: arm.asked == [Request.START, Request.STOP], "the buttons are not heard")
    other = emulated_headset.open_page(chromium, arm.url, quest=False, size=PHONE)
    other.wait_for_selector("text=Another browser drives already")
    assert page.get_attribute("#link", "data-state") == "open"
    assert page.errors == []


def test_a_finger_drags_the_hand_and_closes_the_gripper(chromium: Any, arm: Arm) -> None:
    page = emulated_headset.open_page(
        chromium, arm.url, quest=False, size=PHONE, has_touch=True, is_mobile=True
    )
    page.wait_for_selector("text=This browser has no WebXR")
    page.wait_for_selector("#link[data-state=open]")
    page.wait_for_timeout(500)

    def drag(pad: str, right: int, down: int) -> np.ndarray:
        before = arm.hand.position
        box = page.locator(pad).bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.wait_for_timeout(300)
        for part in range(1, 11):
            page.mouse.move(x + right * part / 10, y + down * part / 10)
            page.wait_for_timeout(40)
        page.wait_for_timeout(300)
        page.mouse.up()
        page.wait_for_timeout(200)
        return arm.hand.position - before

    # Nobody knows where the camera looks: the person stands behind the arm.
    until(page, lambda: drag("#plane", 0, -60)[0] > 0.01, "ahead is ahead")
    until(page, lambda: drag("#plane", 60, 0)[1] < -0.01, "right is right")
    until(page, lambda: drag("#lift", 0, -60)[2] > 0.01, "up is up")
    page.click("#gripper")
    until(page, lambda: arm.closed, "the gripper does not close")
    assert page.errors == []


@pytest.mark.parametrize("how", ["guessed", "off"])
def test_losing_a_controller_in_a_grasp_holds_the_arm(chromium: Any, arm: Arm, how: str) -> None:
    page = emulated_headset.open_page(chromium, arm.url, quest=True, size=SMALL)
    page.click("#vr")
    controller = Controller(page)
    controller.put((0.2, 1.2, -0.4))
    controller.press("trigger")
    squeeze(page, controller, arm.device)
    until(page, lambda: arm.closed, "the gripper does not close")
    lose = controller.lose if how == "guessed" else lambda lost: controller.switch(not lost)
    lose(True)
    until(page, lambda: arm.device.hands.held()["right"] is not None, "it goes on")
    there = arm.hand.position
    controller.put((0.3, 1.3, -0.4))
    lose(False)
    page.wait_for_timeout(500)
    assert (arm.hand.position == there).all()
    assert arm.closed


def test_buttons_of_the_controller_and_those_that_a_ray_points_at(chromium: Any, arm: Arm) -> None:
    page = emulated_headset.open_page(chromium, arm.url, quest=True, size=SMALL)
    page.click("#vr")
    controller = Controller(page)
    until(page, lambda: arm.device.hands.held()["right"] == "clutch", "no hand is seen")
    page.wait_for_timeout(500)
    controller.click("a-button")
    until(page, lambda: arm.asked == [Request.START], "A begins")
    page.wait_for_selector("body[data-phase=recording]", state="attached")
    controller.click("b-button")
    until(page, lambda: arm.asked[1:] == [Request.DISCARD], "B throws away")
    controller.press("a-button")
    controller.click("b-button")
    controller.press("a-button", 0.0)
    until(page, lambda: arm.asked[2:] == [Request.STOP], "both stop")
    page.wait_for_timeout(300)
    # The panel is below the picture, 1.3 m ahead; its last button is STOP. Straight ahead of it:
    # the ray goes along -z of the controller's, which the emulator tilts: try heights.
    for height in np.arange(0.2, 1.6, 0.04):
        controller.put((0.45, height, -0.6))
        page.wait_for_timeout(60)
        controller.press("trigger")
        page.wait_for_timeout(60)
        controller.press("trigger", 0.0)
        page.wait_for_timeout(60)
        if len(arm.asked) > 3:
            break
    assert arm.asked[3:] == [Request.STOP]
    assert page.errors == []


class Lifting(threading.Thread):
    """A person in VR who sees where hand and cube are, and lifts it; then keeps the episode."""

    def __init__(self, chromium_of: Callable[[], Any]) -> None:
        super().__init__()
        self._chromium_of = chromium_of
        self.addresses: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.device: web_device.WebHands
        self.ask: Callable[[Request], None]
        self.seen: Observation | None = None
        self.status: Status
        self.error: BaseException | None = None
        self.leaves_in_episode = False

    def run(self) -> None:
        try:
            with emulated_headset.browser() as chromium:
                self._drive(
                    emulated_headset.open_page(
                        chromium, self.addresses.get(timeout=120), quest=True, size=SMALL
                    )
                )
        except BaseException as error:
            self.error = error
            self.ask(Request.STOP)

    def _drive(self, page: Any) -> None:
        page.click("#vr")
        self._page, self._controller = page, Controller(page)
        until(page, lambda: self.seen is not None, "nothing is shown")
        self._controller.press("trigger", 0.0)
        self._latch()
        self._go(above := np.array([0.0, 0.0, 0.08]), "above", near=0.02)
        if self.leaves_in_episode:
            return
        self._go(0.0 * above, "down", near=0.012)
        self._controller.press("trigger")
        page.wait_for_timeout(900)
        self._go(np.array([0.0, 0.0, 0.15]), "up", near=0.04, of_cube_at=self._cube())
        until(
            page,
            lambda: self.status.phase != "recording" or bool(self.status.success),
            "no success",
        )
        if self.status.phase == "recording":  # success may have been held for long enough by now
            self._controller.click("a-button")
        until(page, lambda: self.status.kept == 1, "the episode is not kept")

    def _state(self, name: str) -> np.ndarray:
        assert self.seen is not None
        return self.seen.values[f"observation.state.robot0_{name}"].astype(float)

    def _cube(self) -> np.ndarray:
        assert self.seen is not None
        return self.seen.values["observation.environment_state"][:3].astype(float)

    def _latch(self) -> None:
        """Squeeze, and remember where both hands were."""
        self._put(np.zeros(3))
        squeeze(self._page, self._controller, self.device)
        self._from = self._state("eef_pos")
        self._now = np.zeros(3)

    def _put(self, way: np.ndarray) -> None:
        """Hold the controller that far from where it was squeezed, as the picture shows it.

        The camera looks against the world's x axis, and so does the person: the world's x is
        towards the person, y to the right, z up.
        """
        x, y, z = way
        self._controller.put((0.2 + y, 1.2 + z, -0.4 + x))

    def _go(
        self,
        offset: np.ndarray,
        name: str,
        *,
        near: float,
        of_cube_at: np.ndarray | None = None,
    ) -> None:
        end = time.monotonic() + 200
        while self.status.phase in {"ready", "recording"}:
            goal = (self._cube() if of_cube_at is None else of_cube_at) + offset
            if np.linalg.norm(goal - self._state("eef_pos")) < near:
                return
            assert time.monotonic() < end, f"{name}: {goal} {self._state('eef_pos')}"
            if self.device.hands.held()["right"] is not None or self.status.notice:
                self._latch()
            step = goal - self._from - self._now
            self._now = self._now + step * min(1.0, 0.03 / max(np.linalg.norm(step), 1e-9))
            self._put(self._now)
            self._page.wait_for_timeout(25)


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Lifting:
    person = Lifting(emulated_headset.browser)
    open_page, show = web_device.open_page, web_device.WebHands.show

    def opening(setting: Setting, port: int, *, usb: bool, drives: bool) -> web_device.WebHands:
        def say(text: str) -> None:
            setting.say(text)
            person.addresses.put(next(line for line in text.split("\n") if "/#" in line))

        person.ask = setting.ask
        person.device = open_page(replace(setting, say=say), 0, usb=usb, drives=drives)
        return person.device

    def showing(device: Any, status: Status, observation: Observation | None) -> None:
        person.status = status
        person.seen = observation or person.seen
        show(device, status, observation)

    monkeypatch.setattr(web_device, "open_page", opening)
    monkeypatch.setattr(web_device.WebHands, "show", showing)
    return person


@pytest.mark.timeout(900)  # a busy machine draws few pictures a second
@pytest.mark.rendering
def test_a_cube_is_lifted_in_vr_and_the_episode_is_kept(person: Lifting, tmp_path: Path) -> None:
    person.start()
    command = ["record", "sim:lift", "--by", "vr", "--to", str(tmp_path / "demos")]
    assert run([*command, "--episodes", "1", "--seconds", "600", "--cues", "none"]) == 0
    person.join()
    assert person.error is None, person.error
    episode = FolderDataset(tmp_path / "demos").episode(0)
    assert episode.agent == "vr"
    assert episode.success[-1], "the simulator says so, too"
    heights = episode.observations["observation.environment_state"][:, 2]
    assert heights[-1] - heights[0] > 0.04, "the cube was lifted"
    assert not any(name.startswith("observation.images") for name in episode.observations)


@pytest.mark.timeout(900)  # a busy machine draws few pictures a second
@pytest.mark.rendering
def test_closing_the_browser_in_an_episode_keeps_what_there_is(
    person: Lifting, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    person.leaves_in_episode = True
    person.start()
    command = ["record", "sim:lift", "--by", "vr-usb", "--to", str(tmp_path / "demos")]
    assert run([*command, "--episodes", "1", "--seconds", "600", "--cues", "none"]) == 2
    person.join()
    assert person.error is None, person.error
    said = capsys.readouterr().err.strip()
    assert "the browser is gone" in said
    assert "recover" in said
    assert len(said.splitlines()) == 1
    with FolderWriter(tmp_path / "demos") as writer:
        (episode,) = writer.in_flight().values()
    assert len(episode) > 10
    still = episode.actions[-40:, :6]
    np.testing.assert_allclose(still, 0, atol=1e-9, err_msg="the arm moved with nobody there")
