"""A Quest 3 that is emulated in a headless Chromium, by Meta's IWER; and browsers without one."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

IWER = Path(__file__).parents[3] / ".peers/node/node_modules/iwer/build/iwer.min.js"
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
_QUEST = """
window.device = new IWER.XRDevice(IWER.metaQuest3, { stereoEnabled: false });
device.installRuntime({ forceInstall: true });
// IWER calls every position a guess; a headset those of controllers that it does not see.
window.guessed = false;
Object.defineProperty(XRPose.prototype, "emulatedPosition", { get: () => window.guessed });
"""


def missing() -> str:
    """What an emulated headset lacks here; an empty text where there is all."""
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "playwright is not installed: it is in robolearn's extra dev"
    if not any(map(shutil.which, _CHROMIUM)):
        return "there is no Chromium: apt-get install chromium"
    if not IWER.exists():
        return "npm's iwer is not in .peers: make test puts it there, where there is npm"
    return ""


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """Chromium without a window; Playwright's."""
    from playwright.sync_api import sync_playwright

    executable = next(filter(None, map(shutil.which, _CHROMIUM)))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=list(_OPTIONS))
        try:
            yield chromium
        finally:
            chromium.close()


def open_page(chromium: Any, url: str, *, quest: bool, size: tuple[int, int], **more: Any) -> Any:
    """A tab of a browser of its own, which holds cookies of no other; errors in it are collected.

    Args:
        chromium: of `browser`.
        url: to open.
        quest: whether the browser is a Quest's.
        size: of the window, pixels.
        more: of the context.
    """
    context = chromium.new_context(
        ignore_https_errors=True, viewport={"width": size[0], "height": size[1]}, **more
    )
    if quest:
        context.add_init_script(IWER.read_text() + ";" + _QUEST)
    page = context.new_page()
    page.set_default_timeout(120_000)  # a busy machine
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on(
        "console",
        lambda said: page.errors.append(said.text) if said.type == "error" else None,
    )
    page.goto(url)
    return page


class Controller:
    """One of the emulated headset's controllers.

    Args:
        page: with a Quest.
        side: left or right.
    """

    def __init__(self, page: Any, side: str = "right") -> None:
        self._page, self._it = page, f"device.controllers.{side}"

    def put(self, position: Sequence[float], rotation: Sequence[float] = (0, 0, 0, 1)) -> None:
        """Where it is: WebXR's axes, m; quaternion x, y, z, w."""
        x, y, z = map(float, position)
        a, b, c, d = map(float, rotation)
        self._do(f"position.set({x}, {y}, {z}); {self._it}.quaternion.set({a}, {b}, {c}, {d})")

    def press(self, button: str, value: float = 1.0) -> None:
        """Hold a button: trigger, squeeze, a-button, b-button, thumbstick."""
        self._do(f"updateButtonValue('{button}', {value})")

    def click(self, button: str) -> None:
        """Press a button, and let go of it."""
        for value in (1.0, 0.0):
            self.press(button, value)
            self._page.wait_for_timeout(250)  # longer than a frame

    def lose(self, lost: bool = True) -> None:
        """Be out of the sight of the headset's cameras, so that it guesses where it is."""
        self._page.evaluate(f"() => {{ window.guessed = {str(lost).lower()}; }}")

    def switch(self, on: bool) -> None:
        """Switch it off, or on."""
        self._do(f"connected = {str(on).lower()}")

    def _do(self, what: str) -> None:
        self._page.evaluate(f"() => {{ {self._it}.{what}; }}")
