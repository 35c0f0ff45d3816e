"""A simulated task as its TOML file on the shelf ``sim/`` describes it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import Field

from robolearn.environments.expert import Expert, Positive, Range
from robolearn.environments.randomization import Randomization
from robolearn.errors import ShelfError
from robolearn.shelf import STRICT, find_on_shelf, read_toml, table_names

type Rate = Annotated[float, Field(ge=0.1, le=500)]
"""Hz; robosuite's physics takes 500 steps a second."""
type Count = Annotated[int, Field(ge=1)]
type Quality = Literal["fast", "full"]
"""How cameras are rendered: for training, or for pictures."""


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
    rate: Rate
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
        relevant: elements of both that say how the task is going, wherever its objects stand
            (``gripper_to_cube_pos``, ``cube_pos.z``): what a reward is learnt from.
    """

    state: tuple[str, ...]
    objects: tuple[str, ...]
    relevant: tuple[str, ...] = ()

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Cameras:
    """Which cameras are rendered, and how.

    Attributes:
        names: that robosuite gives them.
        height: of their images, pixels.
        width: of their images, pixels.
        quality: ``fast``, for training, is ten times and more as fast as ``full``, for pictures
            and for images like robosuite's own: it leaves out shadows, reflections and smooth
            edges, and draws meshes and textures no finer than the images show.
        depth: whether distances are observed, too: ``observation.images.<name>_depth``, (H, W, 1)
            in m along the camera's axis.
    """

    names: tuple[str, ...] = ()
    height: Count = 84
    width: Count = 84
    quality: Quality = "fast"
    depth: bool = False

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
    x: Range[float]
    y: Range[float]

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class SimTask:
    """One entry of the shelf ``sim/``.

    Attributes:
        text: the task in words, recorded with each episode.
        simulator: what robosuite builds.
        observation: what is observed.
        cameras: what is rendered.
        randomization: how the world looks and behaves, where it is drawn anew for each episode.
        expert: how a script does the task, where one can.
        reverse: where a script puts the object of a task that is done by picking it up.
    """

    text: str
    simulator: Simulator
    observation: ObservationSpecification
    cameras: Cameras = field(default_factory=Cameras)
    randomization: Randomization = field(default_factory=Randomization)
    expert: Expert | None = None
    reverse: Reverse | None = None

    __pydantic_config__ = STRICT

    def with_cameras(
        self,
        names: tuple[str, ...],
        height: int,
        width: int,
        quality: Quality = "fast",
        *,
        depth: bool = False,
    ) -> SimTask:
        """The same task with these cameras rendered."""
        return replace(self, cameras=Cameras(names, height, width, quality, depth))


def load_task(target: str) -> SimTask:
    """The task that ``sim:NAME`` or the path of a TOML file names.

    Raises:
        ShelfError: there is none, its file is broken, or it is no robosuite task.
    """
    if target.startswith("gym:") or "gymnasium" in table_names(find_on_shelf(target, "sim")):
        raise ShelfError(
            f"{target} is a Gymnasium environment, whose states are not recorded: it can neither "
            "be replayed nor played back"
        )
    return read_toml(find_on_shelf(target, "sim"), SimTask)
