"""MJCF that was stored with a recording: made to load here, and to read robosuite's assets only."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from robolearn.errors import SimulationError

_MOST_CHARACTERS = 16 << 20
_MOST_NUMBERS = 1 << 27
_AMOUNT = re.compile(r"\+?(\d{1,18})([KMGTPE]?)")
_UNITS = "KMGTPE"
_BIT_MASKS = {"contype", "conaffinity"}
_NEVER_SAVED = {
    *("attach", "composite", "extension", "flexcomp", "include", "model", "plugin", "replicate"),
}
"""What MuJoCo writes out when it saves a model: only a forged one has these."""
_FOLDERS = ("meshdir", "texturedir", "assetdir", "strippath")


def loadable(xml: str, assets: Path) -> str:
    """A stored model with the paths of its meshes and textures as they are on this machine.

    What follows the last ``robosuite`` in a path is looked up in the package installed here.

    Args:
        xml: as MuJoCo saved it. It may be damaged or hostile.
        assets: the folder ``robosuite/models/assets``. Files are read from it and nowhere else.

    Raises:
        SimulationError: it is no MJCF, names a file that is not in that folder, or asks for more
            memory than a model of robosuite needs.
    """
    root = _parsed(xml)
    numbers = 0
    for element in root.iter():
        if element.tag in _NEVER_SAVED:
            raise SimulationError(f"a model that MuJoCo saved has no <{element.tag}>, this one has")
        if element.tag == "compiler":
            for name in _FOLDERS:
                element.attrib.pop(name, None)  # the paths are whole
        for name, value in element.items():
            if name.startswith("file"):
                element.set(name, str(_installed(value, assets)))
        numbers += _numbers(element)
    if numbers > _MOST_NUMBERS:
        raise SimulationError("it asks for more memory than a model of robosuite needs")
    return ElementTree.tostring(root, encoding="unicode")


def joint_names(xml: str) -> list[str]:
    """Names of a model's joints, in the order of their positions in its state.

    Raises:
        SimulationError: it is no MJCF.
    """
    return [
        element.get("name", "")
        for world in _parsed(xml).iter("worldbody")
        for element in world.iter()
        if element.tag in {"joint", "freejoint"}
    ]


def _parsed(xml: str) -> ElementTree.Element:
    if len(xml) > _MOST_CHARACTERS or "<!" in xml.replace("<!--", ""):
        raise SimulationError("it is too long for a model, or declares what a model has not")
    try:
        root = ElementTree.fromstring(xml)
        ElementTree.tostring(root)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise SimulationError(f"it is no MJCF: {error}") from error
    if root.tag != "mujoco":
        raise SimulationError(f"it is no MJCF: it begins with <{root.tag:.20}>")
    return root


def _installed(path: str, assets: Path) -> Path:
    """Where an asset is on this machine."""
    package = assets.parents[1]
    parts = PurePosixPath(path).parts
    if package.name in parts:
        last = len(parts) - 1 - parts[::-1].index(package.name)
        found = package.joinpath(*parts[last + 1 :]).resolve()
        if found.is_relative_to(assets.resolve()) and found.is_file():
            return found
    raise SimulationError(f"it needs the file {path:.200}, none of {package.name}'s assets")


def _numbers(element: ElementTree.Element) -> int:
    """An upper bound of how many numbers an element's attributes let MuJoCo allocate."""
    amounts = {
        name: int(found[1]) << 10 * (_UNITS.find(found[2]) + 1 if found[2] else 0)
        for name, value in element.items()
        if (found := _AMOUNT.fullmatch(value.strip())) and name not in _BIT_MASKS
    }
    if element.tag == "texture":  # the six sides of a cube, whatever height it declares
        width, height = amounts.get("width", 0), amounts.get("height", 0)
        return width * max(height, 6 * width) * amounts.get("nchannel", 3)
    if element.tag in {"hfield", "global", "quality"}:
        return max(amounts.values(), default=0) ** 2
    return sum(amounts.values())
