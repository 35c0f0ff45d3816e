"""An arm as its TOML file on the shelf ``real/`` describes it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from robolearn.environments.arms.units import ANGLES, FACTORS, Unit
from robolearn.environments.expert import Finite, Positive, Vector3
from robolearn.episodes.frames import Array
from robolearn.errors import ShelfError
from robolearn.shelf import STRICT, find_on_shelf, read_toml, table_names

type Options = dict[str, Any]
type Count = Annotated[int, Field(ge=1)]

_TURNS = 4 * math.pi
"""rad between a joint's limits beyond which they are taken for degrees."""


@dataclass(frozen=True)
class Device:
    """Something that LeRobot, or one of its plugins, has a driver of.

    Attributes:
        type: LeRobot's name of it.
        options: of its configuration, by LeRobot's names.
        calibrated: whether it has a calibration file, which must be there and be the motors' own.
    """

    type: str
    options: Options = field(default_factory=dict)
    calibrated: bool = True

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Joint:
    """One joint. Positions and rates are in its ``unit``, as its driver counts.

    Attributes:
        name: as the driver calls it in what it observes and what it is sent.
        unit: that the driver counts in.
        low: least position.
        high: greatest position.
        home: where an episode begins.
        velocity: greatest, unit/s.
        acceleration: greatest, unit/s².
        jerk: greatest, unit/s³.
        step: the farthest that a target may be from the one before it.
        torque: greatest of its motor, as a share of all that it can; None leaves the driver's.
        model: name of the joint in the model.
        sign: 1 or −1: which way the model's joint turns when this one turns forwards.
        zero: rad or m: where the model's joint is when this one is at zero.
    """

    name: str
    unit: Unit
    low: Finite
    high: Finite
    home: Finite
    velocity: Positive
    acceleration: Positive
    jerk: Positive
    step: Positive | None = None
    torque: Annotated[float, Field(gt=0, le=1)] | None = None
    model: str | None = None
    sign: Literal[-1, 1] = 1
    zero: Finite = 0.0

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"the limits of {self.name} are the wrong way round")
        if not self.low <= self.home <= self.high:
            raise ValueError(f"home of {self.name} lies outside of its limits")
        if self.unit in ANGLES and (self.high - self.low) * self.factor > _TURNS:
            raise ValueError(
                f"{self.name} would turn {(self.high - self.low) * self.factor / 2 / math.pi:.0f} "
                f"times round: its unit is hardly {self.unit}"
            )

    @property
    def factor(self) -> float:
        """What one of its unit is, in rad, m or as a share."""
        return FACTORS[self.unit]


@dataclass(frozen=True)
class Plane:
    """Half of the space: where normal · x ≥ offset.

    Attributes:
        normal: any length but zero.
        offset: m along the normal made one metre long.
    """

    normal: Vector3
    offset: Finite

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        if not any(self.normal):
            raise ValueError("a plane needs a normal that is not zero")


@dataclass(frozen=True)
class WorkspaceLimits:
    """Where the arm may be, in the frame of the model.

    Attributes:
        low: least corner of the box that the tool stays in, m.
        high: greatest corner.
        planes: which the tool, and the origins of the links, stay on one side of.
        tool_speed: greatest, m/s.
        self_collision: whether the arm is kept from touching itself.
    """

    low: Vector3 | None = None
    high: Vector3 | None = None
    planes: tuple[Plane, ...] = ()
    tool_speed: Positive | None = None
    self_collision: bool = True

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        if (self.low is None) != (self.high is None):
            raise ValueError("a box needs both low and high")
        if (
            self.low
            and self.high
            and not all(a < b for a, b in zip(self.low, self.high, strict=True))
        ):
            raise ValueError("the box's low and high are the wrong way round")


@dataclass(frozen=True)
class Model:
    """Kinematics and shape.

    Attributes:
        file: MJCF or URDF, beside the profile or by its whole path.
        tool: name of a site or a body of it.
    """

    file: str
    tool: str

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class PoseActions:
    """Actions that move the tool, as robosuite's OSC_POSE has them.

    An action is the change of the tool's pose, x, y, z, then a rotation vector, along the axes of
    the robot's base, which are those of the model; then the gripper, from −1, open, to 1, closed.

    Attributes:
        translation: metres that an action of 1 asks for.
        rotation: radians that an action of 1 asks for.
        gripper: name of the joint that is the gripper.
        open: where it is open, in its unit.
        closed: where it is closed.
        base: x, y, z of the model's origin in the world, for observed poses.
        turn: rotation vector from the tool's own axes in the model to those of the hand that the
            policy knows, rad.
        gripper_qpos: what the simulator's finger joints say of an open gripper, m; zero when
            closed.
    """

    translation: Positive
    rotation: Positive
    gripper: str
    open: Finite
    closed: Finite
    base: Vector3 = (0.0, 0.0, 0.0)
    turn: Vector3 = (0.0, 0.0, 0.0)
    gripper_qpos: tuple[Finite, ...] = ()

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Watchdog:
    """After which silence the arm is brought to a halt, seconds.

    Attributes:
        agent: without an action in an episode.
        joints: without a reading of the joints.
        cameras: without a new image of some camera.
    """

    agent: Positive = 0.2
    joints: Positive = 0.2
    cameras: Positive = 0.5

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Leader:
    """A device in a person's hand whose joints are those of the arm.

    Attributes:
        device: its driver.
        joints: which of the leader's values moves which joint of the arm, where the names differ.
    """

    device: Device
    joints: dict[str, str] = field(default_factory=dict)

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Virtual:
    """The arm is a virtual SO-101 (`robolearn.environments.virtual_arm`), which tells its drivers
    their ports, calibration and cameras.

    Attributes:
        cameras: that are rendered, ``front`` and ``wrist``.
        height: of their images, pixels.
        width: pixels.
        fps: frames a second.
        hand: who moves leader or follower while it is recorded: ``scripted`` picks the cube up.
        folder: of one that runs already; without it, one is started for as long as it is needed.
    """

    cameras: tuple[str, ...] = ("front", "wrist")
    height: Count = 240
    width: Count = 320
    fps: Count = 30
    hand: Literal["scripted", "nobody"] = "scripted"
    folder: str | None = None

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Dragged:
    """What a motor must be told so that it holds the arm where a hand held it, limp.

    Attributes:
        stiffness: torque with which a motor answers to a distance from its target, N m/rad or N/m.
            The target is put higher by the arm's weight divided by it; needs the model, and its
            masses. Without it, motors are taken for stiff.
        lag: s by which a driven joint stays behind a target that moves.
        further: how much further than it was dragged a joint is told to go, in its unit, by name:
            of a gripper, so that it holds what it was closed around.
    """

    stiffness: Positive | None = None
    lag: Annotated[float, Field(ge=0)] = 0.0
    further: dict[str, Finite] = field(default_factory=dict)

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class ArmProfile:
    """One entry of the shelf ``real/``.

    Attributes:
        text: the task in words, recorded with each episode.
        tried_on: what this profile was really tried on.
        robot: the driver of the arm.
        joints: in the order of the action's elements.
        rate: control steps a second, Hz.
        horizon: control steps of an episode.
        approach: greatest speed, as a share of each joint's, of the way home.
        cameras: by their names, drivers of LeRobot.
        watchdog: how long a silence may be.
        model: of the arm, where there is one.
        workspace: where it may be; needs the model.
        pose: actions move the tool instead of the joints; needs the model.
        leader: what `record --by leader` takes.
        dragged: how what `record --by hand` saw becomes targets.
        virtual: there is no arm but a virtual one.
        modules: of Python, that register the drivers when they are imported. LeRobot's own, and
            plugins that are called ``lerobot_robot_…``, are found by themselves.
    """

    text: str
    tried_on: Literal["hardware", "emulator", "nothing"]
    robot: Device
    joints: Annotated[tuple[Joint, ...], Field(min_length=1)]
    rate: Annotated[float, Field(ge=1, le=1000)]
    horizon: Count
    approach: Annotated[float, Field(gt=0, le=1)] = 0.25
    cameras: dict[str, Device] = field(default_factory=dict)
    watchdog: Watchdog = field(default_factory=Watchdog)
    model: Model | None = None
    workspace: WorkspaceLimits | None = None
    pose: PoseActions | None = None
    leader: Leader | None = None
    dragged: Dragged = field(default_factory=Dragged)
    virtual: Virtual | None = None
    modules: tuple[str, ...] = ()

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        names = [joint.name for joint in self.joints]
        if len(set(names)) != len(names):
            raise ValueError("two joints have the same name")
        for what, value in (("workspace", self.workspace), ("pose", self.pose)):
            if value is not None and self.model is None:
                raise ValueError(f"[{what}] needs a [model]")
        if self.dragged.stiffness is not None and self.model is None:
            raise ValueError("[dragged] stiffness needs a [model]")
        if unknown := sorted(set(self.dragged.further) - set(names)):
            raise ValueError(f"[dragged] further: there is no joint {', '.join(unknown)}")
        if self.pose is not None and self.pose.gripper not in names:
            raise ValueError(f"[pose] gripper is {self.pose.gripper!r}, and no joint")
        if 1 / self.rate >= self.watchdog.agent:
            raise ValueError(
                f"[watchdog] agent is {self.watchdog.agent:g} s, no longer than a control step at "
                f"{self.rate:g} Hz"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """(J,) of the joints."""
        return tuple(joint.name for joint in self.joints)

    def si(
        self, attribute: Literal["low", "high", "home", "velocity", "acceleration", "jerk"]
    ) -> Array:
        """(J,) an attribute of all joints, in rad, m or as shares."""
        return np.array([getattr(joint, attribute) * joint.factor for joint in self.joints])

    @property
    def factors(self) -> Array:
        """(J,) what one of each driver's unit is."""
        return np.array([joint.factor for joint in self.joints])


@dataclass(frozen=True)
class Arm:
    """A profile, and where it comes from.

    Attributes:
        target: how the user named it.
        path: of its file.
        profile: what it says.
    """

    target: str
    path: Path
    profile: ArmProfile

    @property
    def text(self) -> str:
        """The task in words."""
        return self.profile.text

    @property
    def model_path(self) -> Path | None:
        """Of the model's file, where there is one."""
        model = self.profile.model
        return None if model is None else self.path.parent / model.file


def load_arm(target: str) -> Arm:
    """The arm that ``real:NAME`` or the path of a TOML file names.

    Raises:
        ShelfError: there is none, or its file is broken.
    """
    path = find_on_shelf(target, "real")
    if not target.startswith("real:") and "robot" not in table_names(path):
        raise ShelfError(f"{path} describes no arm: it has no [robot]")
    return Arm(target, path, read_toml(path, ArmProfile))
