"""How to train. Imports no torch, so that ``--help`` is quick."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from robolearn.policies.config import PolicyConfig
from robolearn.shelf import STRICT

type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
type Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class CloningConfig:
    """Behaviour cloning.

    Attributes:
        policy: the network.
        steps: of the optimiser.
        batch: windows in one step.
        learning_rate: largest, reached after the warm-up and followed by half a cosine to zero.
        warmup: steps over which the learning rate rises.
        weight_decay: of AdamW.
        gradient_norm: to which larger gradients are scaled down.
        average: share of the old in the moving average of the weights, which is what is kept as the
            policy; 0 keeps the last weights.
        log_every: steps between two lines of metrics.
        checkpoint_every: steps between two checkpoints to resume from.
        seed: of the initial weights and the order of the windows.
    """

    policy: PolicyConfig = field(default_factory=PolicyConfig)
    steps: Count = 2000
    batch: Count = 256
    learning_rate: Positive = 1e-3
    warmup: Annotated[int, Field(ge=0)] = 200
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    gradient_norm: Positive = 10.0
    average: Annotated[float, Field(ge=0, lt=1)] = 0.995
    log_every: Count = 100
    checkpoint_every: Count = 500
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    __pydantic_config__ = STRICT
