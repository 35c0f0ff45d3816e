"""What the page and the server tell each other: JSON, strictly checked; images are binary.

Poses are WebXR's: metres, x to the right, y up, z backwards; quaternions x, y, z, w.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from scipy.spatial.transform import Rotation

from robolearn.agents.devices.display import Status
from robolearn.agents.devices.requests import Request
from robolearn.agents.devices.tracked import HandSample, Held, Side
from robolearn.agents.hand import Pose
from robolearn.errors import DeviceError

MOST_BYTES = 2048
"""Of one message of the page; one with both hands takes 600."""

type Metre = Annotated[float, Field(ge=-100.0, le=100.0)]
type Unit = Annotated[float, Field(ge=-1.01, le=1.01)]
type Share = Annotated[float, Field(ge=0.0, le=1.0)]
type Milliseconds = Annotated[float, Field(ge=0.0, le=1e12)]

_TO_WORLD = Rotation.from_matrix([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""From WebXR's axes to a robot's: x ahead, y to the left, z up."""


class Message(BaseModel):
    """Of the page; what it does not know is refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class HandMessage(Message):
    """One hand that is seen."""

    position: tuple[Metre, Metre, Metre]
    rotation: tuple[Unit, Unit, Unit, Unit]
    squeeze: Share
    trigger: Share

    @field_validator("rotation")
    @classmethod
    def _is_rotation(cls, rotation: tuple[float, ...]) -> tuple[float, ...]:
        if not 0.98 < sum(element**2 for element in rotation) < 1.02:
            raise ValueError("a quaternion has the length 1")
        return rotation


class HandsMessage(Message):
    """Both hands at one instant of the page's own clock; null for one that is not seen.

    ``turn`` is the angle about the vertical from the page's directions to the robot's.
    """

    type: Literal["hands"]
    time: Milliseconds
    turn: Annotated[float, Field(ge=-10.0, le=10.0)]
    scale: Annotated[float, Field(ge=0.1, le=4.0)]
    left: HandMessage | None
    right: HandMessage | None

    def samples(self, time: float) -> dict[Side, HandSample]:
        """Both hands along the robot's axes.

        Args:
            time: of the sample, by this machine's monotonic clock, seconds.
        """
        to_robot = Rotation.from_rotvec([0.0, 0.0, self.turn]) * _TO_WORLD
        frame = (self.turn, self.scale)
        hands: dict[Side, HandMessage | None] = {"left": self.left, "right": self.right}
        return {side: _sample(hand, time, frame, to_robot) for side, hand in hands.items()}


class RequestMessage(Message):
    """A button."""

    type: Literal["request"]
    request: Annotated[Request, Field(strict=False)]


class PingMessage(Message):
    """Is to be answered with the same time, by which the page measures the way."""

    type: Literal["ping"]
    time: Milliseconds


class SeenMessage(Message):
    """An image was shown, so that the next may come."""

    type: Literal["seen"]
    image: Annotated[int, Field(ge=0, lt=2**32)]


type AnyMessage = HandsMessage | RequestMessage | PingMessage | SeenMessage

_MESSAGES: TypeAdapter[AnyMessage] = TypeAdapter(Annotated[AnyMessage, Field(discriminator="type")])


def read(text: str) -> AnyMessage:
    """What the page said.

    Raises:
        DeviceError: it is anything else. What comes over a network may be hostile.
    """
    try:
        return _MESSAGES.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DeviceError(f"malformed message: {place or 'text'}: {first['msg']}"[:120]) from error


def cameras(names: Sequence[str], yaws: Mapping[str, float]) -> str:
    """Of which images follow, in the order of their numbers.

    Args:
        names: of the cameras.
        yaws: where they look, rad about the vertical from the robot's x axis, as far as is known.
    """
    return json.dumps(
        {"type": "cameras", "names": list(names), "yaws": [yaws.get(name) for name in names]}
    )


def pong(message: PingMessage) -> str:
    """The answer to a ping."""
    return json.dumps({"type": "pong", "time": message.time})


def status(
    collection: Status | None, held: Mapping[Side, Held | None], rate: float, arms: int
) -> str:
    """How things are.

    Args:
        collection: None before it begins.
        held: why each hand moves nothing.
        rate: poses a second that came.
        arms: that are driven.
    """
    return json.dumps(
        {
            "type": "status",
            "held": held,
            "poses": rate,
            "arms": arms,
            "collection": None if collection is None else asdict(collection),
        }
    )


def image(number: int, camera: int, jpeg: bytes) -> bytes:
    """A camera's image: its number and the camera's, little-endian, and the JPEG.

    Images of one instant have one number.
    """
    return struct.pack("<II", number, camera) + jpeg


def _sample(
    hand: HandMessage | None, time: float, frame: tuple[float, float], to_robot: Rotation
) -> HandSample:
    if hand is None:
        return HandSample(time, None, 0.0, 0.0, frame)
    pose = Pose(
        to_robot.apply(np.asarray(hand.position)), to_robot * Rotation.from_quat(hand.rotation)
    )
    return HandSample(time, pose, hand.squeeze, hand.trigger, frame)
