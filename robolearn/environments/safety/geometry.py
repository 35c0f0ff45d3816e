"""Where an arm is in space, and whether that is permitted: through MuJoCo's model of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np

from robolearn.environments.mujoco_import import mujoco
from robolearn.environments.safety.reasons import Reason
from robolearn.episodes.frames import Array

_TOUCH = 5e-4
"""m that bodies may be inside each other before it counts as a collision."""


@dataclass(frozen=True)
class Workspace:
    """Where an arm may be, in the frame of its model.

    Attributes:
        low: (3,) least corner of the box that the tool stays in, m; empty for no box.
        high: (3,) greatest corner.
        planes: (P, 4) n and d of half spaces n · x ≥ d, with unit normals, in which the tool and
            the origin of each link that moves stay.
        tool_speed: of the tool, m/s; None for no limit.
        self_collision: whether the arm may not touch itself.
    """

    low: Array
    high: Array
    planes: Array
    tool_speed: float | None
    self_collision: bool


class JointMap:
    """Puts joints into a model of MuJoCo.

    Args:
        model: MuJoCo's.
        names: (J,) of its joints; None for a joint that it does not have.
        signs: (J,) 1 or −1: which way a joint of the arm turns that of the model.
        zeros: (J,) where the model's joints are when the arm's are at zero, rad or m.

    Raises:
        ValueError: the model has no such joint, or it is not one that turns or slides.
    """

    def __init__(
        self,
        model: Any,
        names: Sequence[str | None],
        signs: Sequence[float],
        zeros: Sequence[float],
    ) -> None:
        self.known = np.array(
            [index for index, name in enumerate(names) if name is not None], np.int64
        )
        identifiers = [self._identifier(model, name) for name in names if name is not None]
        self.addresses = np.array([model.jnt_qposadr[each] for each in identifiers], np.int64)
        self.velocities = np.array([model.jnt_dofadr[each] for each in identifiers], np.int64)
        self.signs = np.array(signs, np.float64)[self.known]
        self.zeros = np.array(zeros, np.float64)[self.known]
        self.low, self.high = model.jnt_range[identifiers].T
        self.limited = model.jnt_limited[identifiers].astype(bool)

    @staticmethod
    def _identifier(model: Any, name: str) -> int:
        identifier = int(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name))
        if identifier < 0:
            there = ", ".join(model.joint(index).name for index in range(model.njnt))
            raise ValueError(f"the model has no joint {name!r}; there are {there}")
        kinds = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)
        if model.jnt_type[identifier] not in kinds:
            raise ValueError(f"the model's joint {name!r} neither turns nor slides")
        return identifier

    def write(self, joints: Array, qpos: Array) -> None:
        """Put (J,) joints into (nq,) ``qpos``."""
        _put(joints, self.known, self.signs, self.zeros, self.addresses, qpos)

    def read(self, qpos: Array, joints: Array) -> None:
        """Put what ``qpos`` says of joints into (J,); those that it does not have stay."""
        joints[self.known] = self.signs * (qpos[self.addresses] - self.zeros)


def tool_of(model: Any, name: str) -> tuple[bool, int]:
    """Whether a tool's frame is that of a site, rather than of a body, and its number.

    Raises:
        ValueError: the model has neither of that name.
    """
    for kind in (mujoco.mjtObj.mjOBJ_SITE, mujoco.mjtObj.mjOBJ_BODY):
        identifier = int(mujoco.mj_name2id(model, kind, name))
        if identifier >= 0:
            return kind == mujoco.mjtObj.mjOBJ_SITE, identifier
    bodies = ", ".join(model.body(index).name for index in range(1, model.nbody))
    raise ValueError(f"the model has no site and no body {name!r}; its bodies are {bodies}")


class Geometry:
    """Watches over the tool and the links.

    An arm that begins where it may not be is permitted to stay as bad as that, and to get better.

    Args:
        model: MuJoCo's, of the arm and of what stands around it.
        joints: the arm's in it.
        tool: name of a site or body.
        workspace: where it may be.
        dt: seconds of a control step.
    """

    def __init__(
        self, model: Any, joints: JointMap, tool: str, workspace: Workspace, dt: float
    ) -> None:
        self._model, self._data = model, mujoco.MjData(model)
        self._joints = joints
        is_site, identifier = tool_of(model, tool)
        places = self._data.site_xpos if is_site else self._data.xpos
        self._tool: Array = places[identifier]
        self._qpos: Array = self._data.qpos
        self._bodies: Array = self._data.xpos
        moving = [body for body in range(1, model.nbody) if _moves(model, body)]
        self._links = np.array(moving, np.int64)
        no_box = len(workspace.low) == 0
        self._low = np.full(3, -np.inf) if no_box else np.array(workspace.low, np.float64)
        self._high = np.full(3, np.inf) if no_box else np.array(workspace.high, np.float64)
        self._planes = np.array(workspace.planes, np.float64).reshape(-1, 4)
        self._self_collision = workspace.self_collision
        speed = workspace.tool_speed
        self._tool_step = np.inf if speed is None else speed * dt * (1 + 1e-9)
        self._outside = self._inside_itself = 0.0
        seen = self._look(np.zeros(int(joints.known.max(initial=-1)) + 1))
        _distance(seen.tool, seen.tool)  # all is compiled now
        self._place = seen.tool

    def reset(self, joints: Array) -> None:
        """The arm is there, (J,), at rest."""
        seen = self._look(joints)
        self._place = seen.tool
        self._outside, self._inside_itself = max(seen.outside, 0.0), max(seen.depth, _TOUCH)

    def moved(self, joints: Array) -> None:
        """The arm was sent there, (J,)."""
        seen = self._look(joints)
        self._place = seen.tool
        self._outside = max(min(self._outside, seen.outside), 0.0)
        self._inside_itself = max(min(self._inside_itself, seen.depth), _TOUCH)

    @property
    def tool(self) -> Array:
        """(3,) where the tool is, m."""
        return self._place

    def against(self, path: Array) -> int:
        """What speaks against a way.

        Args:
            path: (N, J), step by step.

        Returns:
            Bits of `Reason`.
        """
        place = self._place
        for joints in path:
            seen = self._look(joints)
            if _distance(place, seen.tool) > self._tool_step:
                return int(Reason.TOOL_SPEED)
            if seen.outside > self._outside + 1e-9:
                return int(Reason.WORKSPACE)
            if seen.depth > self._inside_itself + 1e-9:
                return int(Reason.COLLISION)
            place = seen.tool
        return 0

    def _look(self, joints: Array) -> _Seen:
        data = self._data
        self._joints.write(joints, self._qpos)
        mujoco.mj_kinematics(self._model, data)
        tool = self._tool.copy()
        outside = _outside(tool, self._bodies, self._links, self._low, self._high, self._planes)
        depth = -np.inf
        if self._self_collision:
            mujoco.mj_collision(self._model, data)
            if data.ncon:
                depth = -float(data.contact.dist.min())
        return _Seen(tool, outside, depth)


class _Seen(NamedTuple):
    """Where the tool is, (3,), how far an arm is outside, and how deep in itself; m."""

    tool: Array
    outside: float
    depth: float


@numba.njit(cache=True)
def _put(
    joints: Array, known: Array, signs: Array, zeros: Array, addresses: Array, qpos: Array
) -> None:
    for place in range(known.size):
        qpos[addresses[place]] = signs[place] * joints[known[place]] + zeros[place]


@numba.njit(cache=True)
def _distance(one: Array, other: Array) -> float:
    x, y, z = one[0] - other[0], one[1] - other[1], one[2] - other[2]
    return math.sqrt(x * x + y * y + z * z)


@numba.njit(cache=True)
def _outside(
    tool: Array, bodies: Array, links: Array, low: Array, high: Array, planes: Array
) -> float:
    """How far the tool is outside of the box, or it or a link beyond a plane; negative inside."""
    most = -np.inf
    for axis in range(3):
        most = max(most, low[axis] - tool[axis], tool[axis] - high[axis])
    for plane in range(planes.shape[0]):
        x, y, z, height = planes[plane]
        most = max(most, height - (x * tool[0] + y * tool[1] + z * tool[2]))
        for link in links:
            place = bodies[link]
            most = max(most, height - (x * place[0] + y * place[1] + z * place[2]))
    return most


def _moves(model: Any, body: int) -> bool:
    """Whether a joint lies between the world and what holds this body, its own not counted.

    The first link's origin does not move, and may stand on the table.
    """
    body = model.body_parentid[body]
    while body:
        if model.body_jntnum[body]:
            return True
        body = model.body_parentid[body]
    return False
