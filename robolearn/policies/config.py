"""What a policy is made of. Imports no torch, so that ``--help`` is quick."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from robolearn.errors import ConfigurationError
from robolearn.policies.action_heads.config import ActionHeadConfig
from robolearn.policies.auxiliary.config import AuxiliaryConfig
from robolearn.policies.encoders.config import EncoderConfig
from robolearn.policies.memory.config import MemoryConfig
from robolearn.shelf import STRICT

type ActionChoice = Literal["auto", "mode", "low-noise", "sample"]
"""Which of the actions that a policy holds for possible is carried out, see `PolicyAgent`."""


@dataclass(frozen=True)
class PolicyConfig:
    """The network of a policy: encoder, memory, heads; and how its chunks are carried out.

    Attributes:
        inputs: observation features that it sees; none named means all vectors that vary in the
            demonstrations. Images, depth and ``task_index`` (the task's text) are seen if named.
        horizon: H, actions that are predicted at once, a chunk.
        execute: actions of a chunk that are carried out before it decides again; 1 to H.
        ensemble: decide at each step, and carry out the mean of what all chunks say of it (Zhao et
            al. 2023).
        ensemble_decay: m of the mean's weights exp(-m i), where i = 0 is the oldest chunk.
        actions: which of the actions that it holds for possible are carried out, unless something
            else is asked for at run time; ``auto``, as the head says.
        gripper_weight: of the gripper's loss beside the arm's.
        encoder: from the observations of a frame to a vector.
        memory: from the vectors of a history to one.
        action: from that to actions.
        auxiliary: what else is learnt from the vectors of a history.

    Raises:
        ConfigurationError: the values do not fit each other.
    """

    inputs: tuple[str, ...] = ()
    horizon: Annotated[int, Field(ge=1)] = 1
    execute: Annotated[int, Field(ge=1)] = 1
    ensemble: bool = False
    ensemble_decay: Annotated[float, Field(ge=0)] = 0.01
    actions: ActionChoice = "auto"
    gripper_weight: Annotated[float, Field(ge=0)] = 1.0
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    action: ActionHeadConfig = field(default_factory=ActionHeadConfig)
    auxiliary: AuxiliaryConfig = field(default_factory=AuxiliaryConfig)

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        if self.execute > self.horizon >= 1:
            raise ConfigurationError(
                f"of a chunk of horizon {self.horizon}, execute is 1 to {self.horizon}, "
                f"not {self.execute}"
            )
        if self.ensemble and self.execute > 1:
            raise ConfigurationError(
                f"with ensemble, the policy decides at each step, so execute is 1, "
                f"not {self.execute}"
            )
        if self.auxiliary.needs_transitions and self.memory.is_sequence and self.memory.history < 2:
            raise ConfigurationError(
                "next_observation and inverse_dynamics are learnt between two frames: "
                "memory.history is 2 or more"
            )

    @property
    def learning_frames(self) -> int:
        """N, frames of observations in a window that it learns from; K and perhaps one more."""
        more = self.auxiliary.needs_transitions and not self.memory.is_sequence
        return self.memory.history + more

    @property
    def learnt_frames(self) -> int:
        """F, the last ones of these, whose actions it learns."""
        if self.memory.is_sequence:
            return self.memory.history
        return 1 + self.auxiliary.needs_transitions

    @property
    def learning_past_actions(self) -> int:
        """P', actions before the present one in such a window."""
        memory = self.memory
        if memory.is_sequence:
            return max(memory.past_actions, memory.history - 1)
        return memory.past_actions + self.learning_frames - memory.history
