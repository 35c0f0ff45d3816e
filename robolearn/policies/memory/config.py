"""How far back a policy looks, and how. Imports no torch, so that ``--help`` is quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from robolearn.errors import ConfigurationError
from robolearn.shelf import STRICT

type Share = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class MemoryConfig:
    """From a history of frames to one vector.

    Attributes:
        kind: ``stack`` (all frames side by side, and an MLP), ``lstm`` or ``transformer``.
        history: K, frames that are seen at once, the present one included.
        past_actions: P, actions before the present one that are seen; at most K with ``lstm`` and
            ``transformer``, where each frame is seen with the action that led to it.
        hidden: widths of the layers; all the same with ``lstm`` and ``transformer``.
        heads: of a transformer's attention; divides the width.
        dropout: share of each layer's outputs that is silenced while training.
        past_action_dropout: share of the samples from which all past actions are hidden while
            training, against policies that only repeat the last action.

    Raises:
        ConfigurationError: the values do not fit each other.
    """

    kind: Literal["stack", "lstm", "transformer"] = "stack"
    history: Annotated[int, Field(ge=1)] = 3
    past_actions: Annotated[int, Field(ge=0)] = 0
    hidden: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (256, 256)
    heads: Annotated[int, Field(ge=1)] = 4
    dropout: Share = 0.3
    past_action_dropout: Share = 0.0

    __pydantic_config__ = STRICT

    @property
    def is_sequence(self) -> bool:
        """It goes from frame to frame, so that it can learn from each of them."""
        return self.kind != "stack"

    def __post_init__(self) -> None:
        if not self.is_sequence:
            return
        if len(set(self.hidden)) > 1:
            raise ConfigurationError(
                f"the layers of memory {self.kind!r} are of one width, not {self.hidden}"
            )
        if self.past_actions > self.history:
            raise ConfigurationError(
                f"memory {self.kind!r} sees each of its {self.history} frames with the action that "
                f"led to it, so past_actions is at most {self.history}, not {self.past_actions}"
            )
        if self.kind == "transformer" and self.hidden[0] % self.heads:
            raise ConfigurationError(
                f"{self.heads} heads do not divide a transformer's width of {self.hidden[0]}"
            )
