"""The process that shows a window, and tells what is pressed and dragged in it."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from robolearn.agents.devices.display import Phase
from robolearn.agents.devices.sdl import FAILED, OPEN, import_pygame
from robolearn.episodes.frames import Array

_RATE = 60
_SIZE = 800, 680
_UNSEEN = "offscreen"
"""The driver that SDL falls back to where there is no screen: a window in it is nowhere."""
_LINE = 22
_COLOURS: dict[Phase, tuple[int, int, int]] = {
    "ready": (214, 158, 0),
    "recording": (196, 30, 30),
    "judging": (36, 84, 190),
    "ended": (110, 110, 110),
}
_SUCCESS = (30, 140, 60)
_NAMES = {"return": "enter", "keypad enter": "enter"}


@dataclass(frozen=True)
class Picture:
    """What is to be shown.

    Attributes:
        phase: of the episode.
        success: whether it succeeded by now.
        lines: of text; the first is the banner.
        image: (H, W, 3) uint8, where there is a camera.
    """

    phase: Phase
    success: bool
    lines: Sequence[str]
    image: Array | None


@dataclass(frozen=True)
class Pressed:
    """A key that was pressed, by its name."""

    key: str


@dataclass(frozen=True)
class Held:
    """What is held at this moment, and how far the mouse was dragged since the last.

    Attributes:
        keys: their names.
        left: pixels to the right and down, with the left button.
        right: the same with the right one.
        wheel: notches away from the person.
    """

    keys: frozenset[str]
    left: tuple[int, int]
    right: tuple[int, int]
    wheel: int


def run_window(connection: Connection, title: str, keys: Sequence[str]) -> None:
    """Show a window until it is closed, or the connection is.

    Args:
        connection: gives `Picture`, and is told `Pressed` and `Held`, sixty times a second.
        title: of the window.
        keys: lines that tell what does what.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the program that started it ends it
    pygame = import_pygame(connection)
    if pygame is None:
        return
    try:
        pygame.display.init()
        pygame.font.init()
        pygame.display.set_caption(title)
        if pygame.display.get_driver() == _UNSEEN:
            raise pygame.error("there is no display")
        screen = pygame.display.set_mode(_SIZE, pygame.RESIZABLE)
    except pygame.error as error:
        connection.send(
            (FAILED, f"no window can be opened ({error}): over ssh, take --by keyboard")
        )
        return
    connection.send((OPEN, ""))
    font = pygame.font.Font(None, _LINE)
    picture: Picture | None = None
    clock = pygame.time.Clock()
    redrawing = {pygame.VIDEOEXPOSE, pygame.VIDEORESIZE, pygame.WINDOWEXPOSED}
    try:
        while True:
            events = pygame.event.get()
            if any(event.type == pygame.QUIT for event in events):
                return
            for event in events:
                if event.type == pygame.KEYDOWN:
                    connection.send(Pressed(_name(pygame, event.key)))
            connection.send(_held(pygame, events))
            stale = any(event.type in redrawing for event in events)
            while connection.poll():
                picture, stale = connection.recv(), True
            if picture is not None and stale:
                draw(pygame, screen, font, picture, keys)
                pygame.display.flip()
            clock.tick(_RATE)
    except (EOFError, OSError):
        return  # the program that started it has ended
    finally:
        connection.close()
        pygame.quit()


def _held(pygame: Any, events: Sequence[Any]) -> Held:
    pressed = pygame.key.get_pressed()
    named = {_name(pygame, key) for key in range(256) if pressed[key]}
    arrows = (pygame.K_UP, pygame.K_DOWN, pygame.K_LEFT, pygame.K_RIGHT)
    others = (*arrows, pygame.K_PAGEUP, pygame.K_PAGEDOWN)
    named |= {_name(pygame, key) for key in others if pressed[key]}
    drags = {0: [0, 0], 2: [0, 0]}
    wheel = 0
    for event in events:
        if event.type == pygame.MOUSEMOTION:
            for button, drag in drags.items():
                if event.buttons[button]:
                    drag[0] += event.rel[0]
                    drag[1] += event.rel[1]
        elif event.type == pygame.MOUSEWHEEL:
            wheel += event.y
    left, right = ((drag[0], drag[1]) for drag in drags.values())
    return Held(frozenset(named), left, right, wheel)


def _name(pygame: Any, key: int) -> str:
    name: str = pygame.key.name(key)
    return _NAMES.get(name, name)


def draw(pygame: Any, screen: Any, font: Any, picture: Picture, keys: Sequence[str]) -> None:
    """Draw banner, image and text."""
    width, height = screen.get_size()
    screen.fill((24, 24, 24))
    banner = pygame.Rect(0, 0, width, 2 * _LINE)
    screen.fill(_SUCCESS if picture.success else _COLOURS[picture.phase], banner)
    _write(screen, font, picture.lines[0], 12, _LINE // 2)
    below = [*picture.lines[1:], *keys]
    bottom = height - _LINE * len(below) - 8
    if picture.image is not None:
        image = pygame.surfarray.make_surface(picture.image.swapaxes(0, 1))
        space = bottom - banner.bottom
        factor = min(width / image.get_width(), space / image.get_height())
        size = int(factor * image.get_width()), int(factor * image.get_height())
        if min(size) > 0:
            place = (width - size[0]) // 2, banner.bottom + (space - size[1]) // 2
            screen.blit(pygame.transform.smoothscale(image, size), place)
    for number, line in enumerate(below):
        _write(screen, font, line, 12, bottom + _LINE * number)


def _write(screen: Any, font: Any, text: str, left: int, top: int) -> None:
    screen.blit(font.render(text, True, (240, 240, 240)), (left, top))
