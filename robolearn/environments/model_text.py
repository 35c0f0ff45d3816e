"""Values of a compiled model, written into the MJCF that MuJoCo saved of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

import numpy as np


def with_values(xml: str, model: Any, changed: Mapping[str, list[int]]) -> str:
    """MJCF with these values as the compiled model has them now, to the last bit.

    MuJoCo itself writes six digits of each number, and can save the last model that was compiled in
    the process only.

    Args:
        xml: as MuJoCo saved it: its elements are in the order of their numbers.
        model: the compiled ``mujoco.MjModel``.
        changed: numbers of the rows, by array; of those in `WRITTEN`.
    """
    if not changed:
        return xml
    root = ElementTree.fromstring(xml)
    for name, rows in changed.items():
        WRITTEN[name](root, model, name, rows)
    return ElementTree.tostring(root, encoding="unicode")


type _Write = Callable[[ElementTree.Element, Any, str, list[int]], None]


def _elements(root: ElementTree.Element, section: str, *tags: str) -> list[ElementTree.Element]:
    return [
        element for part in root.iter(section) for element in part.iter() if element.tag in tags
    ]


def _attribute(section: str, tag: str, attribute: str) -> _Write:
    def write(root: ElementTree.Element, model: Any, name: str, rows: list[int]) -> None:
        elements = _elements(root, section, tag)
        for row in rows:
            elements[row].set(attribute, _numbers(getattr(model, name)[row]))

    return write


def _of_joint(attribute: str) -> _Write:
    def write(root: ElementTree.Element, model: Any, name: str, rows: list[int]) -> None:
        joints = _elements(root, "worldbody", "joint", "freejoint")
        for row in rows:
            joints[model.dof_jntid[row]].set(attribute, _numbers(getattr(model, name)[row]))

    return write


def _inertial(root: ElementTree.Element, model: Any, _: str, rows: list[int]) -> None:
    bodies = _elements(root, "worldbody", "body")
    for row in rows:
        body = bodies[row - 1]  # the world has no element of its own
        for written in body.findall("inertial"):
            body.remove(written)
        values = {
            "pos": model.body_ipos[row],
            "quat": model.body_iquat[row],
            "mass": model.body_mass[row],
            "diaginertia": model.body_inertia[row],
        }
        body.insert(0, ElementTree.Element("inertial", {k: _numbers(v) for k, v in values.items()}))


def _numbers(values: Any) -> str:
    """To the last bit."""
    return " ".join(str(value) for value in np.atleast_1d(values))


WRITTEN: dict[str, _Write] = {
    "mat_rgba": _attribute("asset", "material", "rgba"),
    "geom_rgba": _attribute("worldbody", "geom", "rgba"),
    "light_pos": _attribute("worldbody", "light", "pos"),
    "light_dir": _attribute("worldbody", "light", "dir"),
    "light_diffuse": _attribute("worldbody", "light", "diffuse"),
    "light_ambient": _attribute("worldbody", "light", "ambient"),
    "light_specular": _attribute("worldbody", "light", "specular"),
    "cam_pos": _attribute("worldbody", "camera", "pos"),
    "cam_quat": _attribute("worldbody", "camera", "quat"),
    "cam_fovy": _attribute("worldbody", "camera", "fovy"),
    "geom_friction": _attribute("worldbody", "geom", "friction"),
    "dof_damping": _of_joint("damping"),
    "dof_armature": _of_joint("armature"),
    "dof_frictionloss": _of_joint("frictionloss"),
    "body_mass": _inertial,
    "body_inertia": _inertial,
}
"""Arrays of a compiled model, and how rows of them are written."""
