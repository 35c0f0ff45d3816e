"""How a reward is learnt from demonstrations. Imports no torch, so that ``--help`` is quick."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from robolearn.shelf import STRICT

type Count = Annotated[int, Field(ge=1)]
type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
type NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
type Rate = Annotated[float, Field(gt=0, le=1)]
type Share = Annotated[float, Field(ge=0, lt=1)]
type Form = Literal["-log(1-D)", "log D", "logit"]


@dataclass(frozen=True)
class DiscriminatorConfig:
    """A network that tells demonstrations from what the policy does.

    Attributes:
        hidden: widths of its layers.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        batch: transitions of either kind in a step.
        updates: steps after each iteration of rollouts.
        recent: newest transitions of the policy that it learns from.
        elsewhere: share of what it learns for the policy's that is noise, so that what nobody ever
            did is worth little; not for ``airl``.
        gradient_penalty: weight of (‖∇ logit‖ − 1)².
        entropy: weight of the entropy of what it says, which is held high.
        spectral_norm: bound each layer's gain by 1.
        input_noise: standard deviation of noise on its inputs while it learns.
        input_dropout: share of its inputs that is silenced while it learns.
        dropout: share of each layer's outputs that is silenced while it learns.
        accuracy_target: on a batch, beyond which it does not learn from it: it must not run ahead.
    """

    hidden: Annotated[tuple[Count, ...], Field(min_length=1)] = (128, 128)
    learning_rate: Rate = 3e-4
    weight_decay: NotNegative = 0.0
    batch: Count = 256
    updates: Count = 20
    recent: Count = 20000
    elsewhere: Share = 0.25
    gradient_penalty: NotNegative = 0.2
    entropy: NotNegative = 1e-3
    spectral_norm: bool = False
    input_noise: NotNegative = 0.0
    input_dropout: Share = 0.0
    dropout: Share = 0.0
    accuracy_target: Annotated[float, Field(gt=0.5, le=1)] = 1.0

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class RewardConfig:
    """What is learnt from demonstrations, and how it becomes a reward.

    Attributes:
        method: ``gail`` (what is seen and done), ``airl`` (a reward and a potential), or
            ``state-only`` (what is seen and seen next: of use where actions are of another arm).
        form: of the reward, from the probability D of a demonstration: −log(1 − D) is never
            negative, log D never positive, and their sum ``logit`` may be either.
        limit: beyond which a reward is cut off, to either side.
        features: elements of what is seen that it is learnt from, such as ``gripper_to_cube_pos``
            or ``cube_pos.z``; none means those that the task's file names, or all.
        discriminator: the network.
    """

    method: Literal["gail", "airl", "state-only"] = "gail"
    form: Form = "logit"
    limit: Positive = 5.0
    features: tuple[str, ...] = ()
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)

    __pydantic_config__ = STRICT
