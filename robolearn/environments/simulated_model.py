"""The model that is simulated, as text that says where its fixed bodies stand in each episode."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np

from robolearn.episodes.frames import Array

_CONTENT_TYPE = "content_type"
"""Of a mesh's file. MuJoCo writes it when it read the file, not when it had it in its cache."""

_POSE_AT_REST = {"pos": "0 0 0", "quat": "1 0 0 0"}
"""What MJCF means where a body does not say it."""


class SimulatedModel:
    """A compiled model and the text that it is stored as.

    The text of MuJoCo has six digits of each number, so that a model compiled from it is not quite
    the one that was simulated. Tasks put fixed bodies (a door, marks to be wiped) elsewhere at each
    reset, in the compiled model. Both is met here: a text that differs from this model's in nothing
    but where bodies stand is this model with these bodies moved, exactly.

    Args:
        xml: the text, as MuJoCo saved it.
        model: the compiled ``mujoco.MjModel``, as it is in the text.
    """

    def __init__(self, xml: str, model: Any) -> None:
        self.xml = re.sub(rf' {_CONTENT_TYPE}="[^"]*"', "", xml)
        self._rest, self._places = _split(xml)
        self._poses = _poses(model)

    def text_of(self, model: Any) -> str:
        """The text with bodies where they are in the compiled model now, to the last bit."""
        poses = _poses(model)
        moved = np.flatnonzero((poses != self._poses).any(1))
        if not moved.size:
            return self.xml
        root = ElementTree.fromstring(self.xml)
        bodies = list(root.iter("body"))
        for body in moved:
            values = poses[body].tolist()
            bodies[body].set("pos", " ".join(map(repr, values[:3])))
            bodies[body].set("quat", " ".join(map(repr, values[3:])))
        return ElementTree.tostring(root, encoding="unicode")

    def poses_in(self, xml: str) -> Array | None:
        """(B, 7) where a text of this very model has its bodies; None if it is of another one.

        Args:
            xml: a text that MuJoCo can read. It may be hostile.
        """
        if xml == self.xml:
            return self._poses
        rest, places = _split(xml)
        if rest != self._rest or len(places) != len(self._places):
            return None
        poses = self._poses.copy()
        for body, (place, own) in enumerate(zip(places, self._places, strict=True)):
            if place != own:
                pose = _numbers(place)
                if pose is None:
                    return None
                poses[body] = pose
        return poses


def place_bodies(model: Any, poses: Array) -> None:
    """Put the bodies of a compiled model where they are in their parents.

    Args:
        model: the ``mujoco.MjModel``.
        poses: (B, 7) x, y, z in m, then the quaternion w, x, y, z; without the world.
    """
    model.body_pos[1:] = poses[:, :3]
    model.body_quat[1:] = poses[:, 3:]


def state_names(model: Any) -> list[str]:
    """What the elements of a flat state of a compiled model are: time, positions, velocities."""
    positions = [""] * model.nq
    velocities = [""] * model.nv
    for joint in map(model.joint, range(model.njnt)):
        for names, address, size, what in (
            (positions, joint.qposadr[0], len(joint.qpos0), "position"),
            (velocities, joint.dofadr[0], len(joint.damping), "velocity"),
        ):
            for place in range(size):
                number = f" {place}" if size > 1 else ""
                names[address + place] = f"{what}{number} of {joint.name}"
    return ["time", *positions, *velocities]


def _poses(model: Any) -> Array:
    return np.concatenate([model.body_pos[1:], model.body_quat[1:]], axis=1)


def _split(xml: str) -> tuple[str, list[tuple[str, str]]]:
    """A text without the places of its bodies, and these, in the order of the compiled model."""
    root = ElementTree.fromstring(xml)
    for mesh in root.iter("mesh"):
        mesh.attrib.pop(_CONTENT_TYPE, None)
    places = [
        (
            body.attrib.pop("pos", _POSE_AT_REST["pos"]),
            body.attrib.pop("quat", _POSE_AT_REST["quat"]),
        )
        for body in root.iter("body")
    ]
    return ElementTree.tostring(root, encoding="unicode"), places


def _numbers(place: tuple[str, str]) -> Array | None:
    """(7,) of the texts of a position and a quaternion; None where they are none."""
    try:
        position, quaternion = (np.array(text.split(), np.float64) for text in place)
    except ValueError:
        return None
    if position.shape != (3,) or quaternion.shape != (4,):
        return None
    pose = np.concatenate([position, quaternion])
    sound = np.isfinite(pose).all() and np.abs(quaternion).max() > 0
    return pose if sound else None
