"""A simulated task as its TOML file on the shelf ``sim/`` describes it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from robolearn.shelf import STRICT, find_on_shelf, read_toml

type Vector3 = tuple[float, float, float]
type Positive = Annotated[float, Field(gt=0)]
type Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class HandController:
    """An action moves the hand: the change of its pose in the robot's base frame.

    Attributes:
        type: robosuite's name of it: x, y, z, then a rotation vector.
        translation: metres that an action of 1 asks for.
        rotation: radians that an action of 1 asks for.
    """

    type: Literal["OSC_POSE"]
    translation: Positive = 0.05
    rotation: Positive = 0.5

    __pydantic_config__ = STRICT

    def limits(self, joints: int) -> tuple[float, ...]:
        """(6,) what an action of 1 asks for: x, y, z in m, then rx, ry, rz in rad."""
        return (self.translation,) * 3 + (self.rotation,) * 3


@dataclass(frozen=True)
class JointController:
    """An action moves the joints.

    Attributes:
        type: robosuite's name of it: the change of the joints' positions, or their velocities.
        limit: radians, or radians a second, that an action of 1 asks for.
    """

    type: Literal["JOINT_POSITION", "JOINT_VELOCITY"]
    limit: Positive

    __pydantic_config__ = STRICT

    def limits(self, joints: int) -> tuple[float, ...]:
        """(J,) what an action of 1 asks for, rad or rad/s."""
        return (self.limit,) * joints


@dataclass(frozen=True)
class Simulator:
    """What robosuite is asked to build.

    Attributes:
        environment: robosuite's name of the task.
        robots: robosuite's names of the arms.
        rate: control steps a second, Hz.
        horizon: control steps of an episode. Success is recorded and does not end it.
        controller: how an action moves each arm.
        options: further arguments of robosuite's environment, by robosuite's names.
    """

    environment: str
    robots: Annotated[tuple[str, ...], Field(min_length=1)]
    rate: Positive
    horizon: Count
    controller: Annotated[HandController | JointController, Field(discriminator="type")]
    options: dict[str, bool | int | float | str] = field(default_factory=dict)

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class ObservationSpecification:
    """Which of robosuite's observables are kept.

    Attributes:
        state: of the robot; each becomes ``observation.state.<name>``.
        objects: of the world; one after the other they are ``observation.environment_state``.
    """

    state: tuple[str, ...]
    objects: tuple[str, ...]

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Cameras:
    """Which cameras are rendered, at which size in pixels."""

    names: tuple[str, ...] = ()
    height: Count = 84
    width: Count = 84

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Waypoint:
    """A pose that the scripted expert moves the hand to.

    Attributes:
        name: for people.
        relative_to: the object whose pose, at the moment this waypoint becomes the next one, the
            offset is added to.
        offset: x, y, z in metres, world frame.
        alternatives: offsets that do as well. Each episode draws which of all of them it takes:
            the same for all waypoints that have as many.
        gripper: what the gripper does on the way and while waiting.
        align: turn the hand about the vertical with the object, by the smallest angle that its
            symmetry allows.
        tolerance: metres from the waypoint at which it counts as reached.
        wait: control steps to stay once reached.
    """

    name: str
    relative_to: str
    offset: Vector3
    gripper: Literal["open", "close"]
    alternatives: tuple[Vector3, ...] = ()
    align: bool = False
    tolerance: Positive = 0.01
    wait: Annotated[int, Field(ge=0)] = 0

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Expert:
    """The scripted expert: a hand that goes from waypoint to waypoint.

    Attributes:
        waypoints: in their order; the hand stays at the last.
        symmetry: radians after which a turned object looks the same (a cube: a quarter turn).
        gain: share of the remaining way asked for in one control step.
        speed: range of the largest action, as a share of the full one; drawn anew for each episode.
        noise: standard deviation of what is added to each element of the arm's action.
    """

    waypoints: Annotated[tuple[Waypoint, ...], Field(min_length=1)]
    symmetry: Positive = 6.283185307179586
    gain: Annotated[float, Field(gt=0, le=1)] = 0.5
    speed: tuple[Positive, Positive] = (1.0, 1.0)
    noise: Annotated[float, Field(ge=0)] = 0.0

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Reverse:
    """Where a script puts an object, to demonstrate in reverse how it is picked up.

    Attributes:
        object: whose place it is; the expert's first grasp is of it.
        x: least and greatest, m, world frame.
        y: the same.
    """

    object: str
    x: tuple[float, float]
    y: tuple[float, float]

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class SimTask:
    """One entry of the shelf ``sim/``.

    Attributes:
        text: the task in words, recorded with each episode.
        simulator: what robosuite builds.
        observation: what is observed.
        cameras: what is rendered.
        expert: how a script does the task, where one can.
        reverse: where a script puts the object of a task that is done by picking it up.
    """

    text: str
    simulator: Simulator
    observation: ObservationSpecification
    cameras: Cameras = field(default_factory=Cameras)
    expert: Expert | None = None
    reverse: Reverse | None = None

    __pydantic_config__ = STRICT

    def with_cameras(self, names: tuple[str, ...], height: int, width: int) -> SimTask:
        """The same task with these cameras rendered."""
        return replace(self, cameras=Cameras(names, height, width))


def load_task(target: str) -> SimTask:
    """The task that ``sim:NAME`` or the path of a TOML file names.

    Raises:
        ShelfError: there is none, or its file is broken.
    """
    return read_toml(Path(find_on_shelf(target)), SimTask)
