"""Colours that mean the same in every view and plot."""

from __future__ import annotations

type Color = tuple[int, int, int]

SUCCESS: Color = (46, 160, 110)
FAILURE: Color = (222, 82, 60)
UNKNOWN: Color = (140, 146, 156)
HAND: Color = (245, 200, 66)
PERSON: Color = (176, 120, 240)
AGENT: Color = (86, 140, 190)
LIMIT: Color = (230, 150, 40)
LEARNT: Color = (86, 180, 233)
BACKGROUND: Color = (40, 44, 54)
GRID: Color = (70, 76, 90)

_AXES: tuple[Color, ...] = ((226, 84, 66), (72, 165, 84), (66, 133, 226))
_AXES_PALE: tuple[Color, ...] = ((240, 160, 148), (150, 208, 158), (150, 187, 240))
# Okabe and Ito (2008), without black.
_DISTINCT: tuple[Color, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (204, 121, 167),
    (0, 114, 178),
    (240, 228, 66),
    (213, 94, 0),
)
_AXIS_NAMES = {"x": _AXES[0], "y": _AXES[1], "z": _AXES[2]} | {
    f"{prefix}{axis}": color
    for prefix in "rq"
    for axis, color in zip("xyz", _AXES_PALE, strict=True)
}


def outcome_color(success: bool | None) -> Color:
    """Of an episode that succeeded, failed, or of which it cannot be told."""
    return UNKNOWN if success is None else SUCCESS if success else FAILURE


def distinct(count: int) -> list[Color]:
    """``count`` colours; beyond seven they repeat."""
    return [_DISTINCT[index % len(_DISTINCT)] for index in range(count)]


def element_colors(names: tuple[str, ...]) -> list[Color]:
    """Of a vector's elements: axes are red, green and blue, as everywhere in robotics."""
    fallback = distinct(len(names))
    return [
        _AXIS_NAMES.get(name.rpartition(".")[2], color)
        for name, color in zip(names, fallback, strict=True)
    ]


def dimmed(color: Color) -> Color:
    """The same colour, so dark that it stays in the background of a dark scene."""
    red, green, blue = (round(0.6 * value) for value in color)
    return red, green, blue


def paler(color: Color) -> Color:
    """The same colour, halfway to white: for what stands behind a curve of that colour."""
    red, green, blue = ((value + 255) // 2 for value in color)
    return red, green, blue
