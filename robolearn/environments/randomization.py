"""Domain randomisation: which properties of a simulated world are drawn anew for each episode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from robolearn.errors import SimulationError
from robolearn.shelf import STRICT

type Share = Annotated[float, Field(ge=0, le=1)]
type Part = Annotated[float, Field(ge=0, le=0.9)]
type Metres = Annotated[float, Field(ge=0, le=10)]
type Radians = Annotated[float, Field(ge=0, le=np.pi)]
type Degrees = Annotated[float, Field(ge=0, le=45)]
type Pattern = Literal["plain", "gradient", "checker", "noise"]

RANDOMIZATION = "randomization"
"""In ``env_args``: what is randomised by the episode's seed, as `Randomization.to_json` has it."""


@dataclass(frozen=True)
class Textures:
    """Colours and textures of everything that is seen.

    Attributes:
        strength: share that the random colour or pattern has; the rest is the own one's.
        patterns: one is drawn for each texture.
    """

    strength: Share = 0.3
    patterns: Annotated[tuple[Pattern, ...], Field(min_length=1)] = (
        "plain",
        "gradient",
        "checker",
        "noise",
    )

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Lights:
    """The world's lights; what shines along with the camera stays as it is.

    Attributes:
        position: m, at most, along each axis.
        direction: rad, at most, about any axis.
        brightness: share, at most, that a light gains or loses.
        colour: share, at most, that each of its colours gains or loses by itself.
    """

    position: Metres = 0.5
    direction: Radians = 0.35
    brightness: Share = 0.3
    colour: Share = 0.1

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class CameraPoses:
    """Where cameras are and what they see, as if they were mounted anew.

    Attributes:
        position: m, at most, along each axis.
        rotation: rad, at most, about any axis.
        field_of_view: degrees, at most, vertical.
    """

    position: Metres = 0.01
    rotation: Radians = 0.05
    field_of_view: Degrees = 2.0

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Dynamics:
    """How bodies move and touch. Each is multiplied by a number around 1.

    Attributes:
        mass: share, at most, of each body's mass and inertia, both by the same.
        friction: share, at most, of the friction of each shape. Between two the larger counts.
        damping: share, at most, of each joint's damping.
        armature: share, at most, of the inertia of each joint's motor.
        friction_loss: share, at most, of each joint's dry friction.
    """

    mass: Part = 0.1
    friction: Part = 0.2
    damping: Part = 0.2
    armature: Part = 0.2
    friction_loss: Part = 0.2

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class Randomization:
    """What is drawn anew for each episode. What is None, and by default is all, stays as it is.

    Each kind draws from the episode's seed by itself: turning one on changes no other, nor where
    objects are put.
    """

    textures: Textures | None = None
    lights: Lights | None = None
    cameras: CameraPoses | None = None
    dynamics: Dynamics | None = None

    __pydantic_config__ = STRICT

    def __bool__(self) -> bool:
        return any(vars(self).values())

    def to_json(self) -> dict[str, Any]:
        """Kinds that are on, with their settings."""
        return {
            name: asdict(kind) | ({"patterns": list(kind.patterns)} if name == "textures" else {})
            for name, kind in vars(self).items()
            if kind is not None
        }


@dataclass(frozen=True)
class Drawn:
    """One world among those that a randomisation can draw.

    Attributes:
        randomization: what is drawn.
        seed: of the episode.
    """

    randomization: Randomization
    seed: int


def recorded_world(env_args: Mapping[str, Any], seed: int | None) -> Drawn | None:
    """What an episode was recorded in; None if nothing was randomised.

    Args:
        env_args: of the recording. May be hostile.
        seed: of the recording.

    Raises:
        SimulationError: it does not say properly what was randomised, or with which seed.
    """
    settings = env_args.get(RANDOMIZATION)
    if not settings:
        return None
    try:
        randomization = TypeAdapter(Randomization).validate_python(settings)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, (RANDOMIZATION, *first["loc"])))
        raise SimulationError(f"its env_args are damaged: {key}: {first['msg']:.100}") from error
    if seed is None or not 0 <= seed < 2**63:
        raise SimulationError("it was randomised, and does not say with which seed")
    return Drawn(randomization, seed) if randomization else None
