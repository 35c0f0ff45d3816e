"""How a script does a task, as the table ``[expert]`` of a task's TOML file says it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from robolearn.shelf import STRICT

type Finite = Annotated[float, Field(allow_inf_nan=False)]
type Vector3 = tuple[Finite, Finite, Finite]
type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
type NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
type Share = Annotated[float, Field(gt=0, le=1)]


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError("a range begins with its least value")
    return ends


type Range[Number] = Annotated[tuple[Number, Number], AfterValidator(_ascending)]
"""Least and greatest value."""

type VariationName = Literal["speed", "noise", "approach", "pauses"]
VARIATIONS: tuple[VariationName, ...] = ("speed", "noise", "approach", "pauses")
"""What a scripted expert can vary as people do, in the order in which they are named."""


@dataclass(frozen=True)
class Waypoint:
    """A pose that the scripted expert moves a hand, or what the hand holds, to.

    Attributes:
        name: for people.
        relative_to: what the offset is added to: an observed object, ``world``, or ``hand``: the
            hand itself. Its pose is read at the moment when this waypoint becomes the next one.
        offset: x, y, z in metres.
        alternatives: offsets that do as well. Each episode draws which of all of them it takes: the
            same for all waypoints that have as many.
        gripper: what the gripper does on the way and while waiting.
        robot: whose hand it is; with several arms, each has a sequence of its own.
        moves: the object in the hand that is to reach the waypoint, instead of the hand. Where it
            is, is looked at all the time.
        frame: whose axes the offset is along: the ``world``'s, or the ``object``'s that
            it is relative to.
        align: turn about the vertical with what it is relative to, by the smallest angle that the
            symmetry allows. What is moved is put upright, too.
        clear_of: an object that may stand beside it: of the turns that the symmetry allows, that is
            taken in which the fingers open across the way to it.
        turn: radians about the vertical, from above, that an aligned hand is turned on.
        tilt: the hand's orientation instead: rotation vector in rad, world frame, by which it is
            turned from pointing straight down with its x axis along the world's.
        symmetry: radians after which it looks the same; the expert's where none is given.
        tolerance: metres from the waypoint at which it counts as reached.
        angle: radians of turning left at which it counts as reached; no matter where none is given.
        wait: control steps to stay once reached.
    """

    name: str
    relative_to: str
    offset: Vector3
    gripper: Literal["open", "close"]
    alternatives: tuple[Vector3, ...] = ()
    robot: Annotated[int, Field(ge=0)] = 0
    moves: str | None = None
    frame: Literal["world", "object"] = "world"
    align: bool = False
    clear_of: str | None = None
    turn: float = 0.0
    tilt: Vector3 | None = None
    symmetry: Positive | None = None
    tolerance: Positive = 0.01
    angle: Positive | None = None
    wait: Annotated[int, Field(ge=0)] = 0

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Variation:
    """How far the scripted expert strays, in what variation is turned on by name.

    Attributes:
        speed: ``speed``: range of the factor of the speed, which differs between episodes and
            along the way.
        noise: ``noise``: standard deviation of a disturbance of each element of an arm's action,
            on long ways; it fades where the hand need only go up or down.
        correlation: seconds for which speed and disturbance stay about the same.
        detour: ``approach``: metres to the left, to the right or upwards of a way's middle that
            it may lead through if it is long.
        pauses: ``pauses``: how many in a second of movement.
        pause: range of their lengths, seconds.
    """

    speed: Range[Share] = (0.5, 1.0)
    noise: NotNegative = 0.2
    correlation: Positive = 0.4
    detour: Positive = 0.06
    pauses: NotNegative = 0.25
    pause: Range[Positive] = (0.2, 0.8)

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Expert:
    """The scripted expert: hands that go from waypoint to waypoint.

    Attributes:
        waypoints: in their order; the hand stays at the last. Of several arms, each begins its
            next waypoint when all have reached the one of the same number.
        symmetry: radians after which a turned object looks the same (a cube: a quarter turn).
        gain: share of the remaining way asked for in one control step.
        speed: range of the largest action, as a share of the full one; drawn anew for each episode.
        turning: share of that for turning: quick turns near its limits entangle an arm.
        noise: standard deviation of what is added to each element of the arm's action.
        lost: metres between a hand and what it moves beyond which it begins again, with the first
            waypoint.
        base_yaw: radians about the vertical that each robot's base is turned by.
        variation: how far the expert strays where variation is turned on.
    """

    waypoints: Annotated[tuple[Waypoint, ...], Field(min_length=1)]
    symmetry: Positive = 6.283185307179586
    gain: Share = 0.5
    speed: Range[Positive] = (1.0, 1.0)
    turning: Share = 1.0
    noise: NotNegative = 0.0
    lost: Positive = 0.1
    base_yaw: tuple[float, ...] = ()
    variation: Variation = field(default_factory=Variation)

    __pydantic_config__ = STRICT
