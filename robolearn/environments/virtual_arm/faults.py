"""What the virtual arm can be told to do wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from robolearn.errors import ConfigurationError
from robolearn.shelf import STRICT, validate

type ArmName = Literal["follower", "leader"]
type Joint = Literal[
    "shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper"
]
type Probability = Annotated[float, Gt(0), Le(1)]


@dataclass(frozen=True)
class DropBytes:
    """Bytes of the servos' answers are lost, each with a probability."""

    __pydantic_config__ = STRICT
    probability: Probability
    arm: ArmName = "follower"


@dataclass(frozen=True)
class FlipBits:
    """Answers arrive with one wrong bit, each with a probability, so that a checksum is wrong."""

    __pydantic_config__ = STRICT
    probability: Probability
    arm: ArmName = "follower"


@dataclass(frozen=True)
class AnswerLate:
    """Every answer comes later, by so many seconds."""

    __pydantic_config__ = STRICT
    seconds: Annotated[float, Gt(0), Le(60)]
    arm: ArmName = "follower"


@dataclass(frozen=True)
class Overheat:
    """A servo is as hot as this, °C. Above 70 it says so and switches its motor off."""

    __pydantic_config__ = STRICT
    joint: Joint
    temperature: Annotated[float, Ge(-40), Le(150)] = 80.0
    arm: ArmName = "follower"


@dataclass(frozen=True)
class Stall:
    """Something keeps a joint from turning."""

    __pydantic_config__ = STRICT
    joint: Joint
    arm: ArmName = "follower"


@dataclass(frozen=True)
class Unplug:
    """The USB cable is pulled out: the port is gone. The servos keep their power and hold on."""

    __pydantic_config__ = STRICT
    arm: ArmName = "follower"


@dataclass(frozen=True)
class LosePower:
    """The servos' power supply is pulled out: they go limp, and nobody answers."""

    __pydantic_config__ = STRICT
    arm: ArmName = "follower"


@dataclass(frozen=True)
class FreezeCamera:
    """A camera delivers no new frames."""

    __pydantic_config__ = STRICT
    camera: Literal["front", "wrist"]


type Fault = (
    DropBytes | FlipBits | AnswerLate | Overheat | Stall | Unplug | LosePower | FreezeCamera
)

_KINDS: dict[str, type[Fault]] = {
    kind.__name__: kind
    for kind in (
        DropBytes,
        FlipBits,
        AnswerLate,
        Overheat,
        Stall,
        Unplug,
        LosePower,
        FreezeCamera,
    )
}


def fault_message(fault: Fault) -> dict[str, Any]:
    """A fault as it is sent to the emulator.

    Raises:
        ConfigurationError: a value is out of its range, or no joint, arm or camera.
    """
    validate(fault)
    return {"kind": type(fault).__name__, **asdict(fault)}


def fault_from(message: Mapping[str, Any]) -> Fault:
    """A fault as `fault_message` wrote it.

    Raises:
        ConfigurationError: there is no such fault, or its values do not fit.
    """
    values = dict(message)
    kind = values.pop("kind", None)
    if kind not in _KINDS:
        raise ConfigurationError(f"there is no fault {kind!r}; there are {', '.join(_KINDS)}")
    try:
        return validate(_KINDS[kind](**values))
    except TypeError as error:
        raise ConfigurationError(f"{kind}: {error}") from error
