"""What a policy is made of. Imports no torch, so that ``--help`` is quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from robolearn.shelf import STRICT


@dataclass(frozen=True)
class PolicyConfig:
    """The network of a policy.

    Attributes:
        inputs: observation features that it sees; none named means all that are no images.
        history: K, frames that it sees at once, the present one included.
        hidden: widths of the layers between observations and heads.
        dropout: share of each layer's outputs that is silenced while training.
        modes: Gaussians in the mixture over the arm's action.
        least_scale: least standard deviation of each, in units of the demonstrations' own.
        gripper_weight: of the gripper's loss beside the arm's.
    """

    inputs: tuple[str, ...] = ()
    history: Annotated[int, Field(ge=1)] = 3
    hidden: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (256, 256)
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    modes: Annotated[int, Field(ge=1)] = 5
    least_scale: Annotated[float, Field(gt=0)] = 0.05
    gripper_weight: Annotated[float, Field(ge=0)] = 1.0

    __pydantic_config__ = STRICT
