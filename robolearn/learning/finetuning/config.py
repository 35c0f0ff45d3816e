"""How a policy is fine-tuned. Imports no torch, so that ``--help`` is quick."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from robolearn.learning.rewards.config import RewardConfig
from robolearn.learning.updates.config import UpdateConfig
from robolearn.shelf import STRICT

type Count = Annotated[int, Field(ge=1)]
type NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class FinetuningConfig:
    """Practice in the simulator, guided by demonstrations.

    Attributes:
        reward: what is learnt from demonstrations.
        update: how the policy is improved.
        steps: control steps of practice in all; those of trials come on top.
        episodes: of an iteration: rollouts, then the reward learns, then the policy. Eight episodes
            of 80 control steps make an iteration of 640.
        warmup: iterations at the beginning in which only reward and values learn.
        cloning: weight of the cloning loss at the beginning.
        cloning_at_end: weight of the cloning loss later on; it goes there evenly.
        cloning_steps: control steps after which it is there.
        cloning_batch: demonstrated windows in a step of the cloning loss.
        averaging: the t-th iteration's weights count as t to this power in their average, which is
            what is tried and kept (Shamir & Zhang 2013, section 4: polynomial decay). Policy and
            reward go round each other, as in GANs, and their middle is steadier than both.
        validate_every: iterations between two trials of the average, on seeds of their own; each
            makes a checkpoint.
        validation_episodes: episodes of each trial.
        set_back: whether practice goes on, after each trial, from the average that was tried, or
            where that fell behind the best one, from that, half as fast from then on if it is
            better than the policy that began; not from scratch, where ups and downs belong to
            learning.
        patience: times that the policy may be set back before the practice ends.
        seed: of all that is random.
    """

    reward: RewardConfig = field(default_factory=RewardConfig)
    update: UpdateConfig = field(default_factory=UpdateConfig)
    steps: Count = 50_000
    episodes: Count = 8
    warmup: Annotated[int, Field(ge=0)] = 6
    cloning: NotNegative = 0.3
    cloning_at_end: NotNegative = 0.1
    cloning_steps: Count = 20_000
    cloning_batch: Count = 128
    averaging: NotNegative = 2.0
    validate_every: Count = 8
    validation_episodes: Annotated[int, Field(ge=2)] = 40
    set_back: bool = True
    patience: Annotated[int, Field(ge=0)] = 3
    seed: Annotated[int, Field(ge=0, lt=100)] = 0

    __pydantic_config__ = STRICT

    def cloning_weight(self, steps: int) -> float:
        """Of the cloning loss after so many control steps."""
        share = min(steps / self.cloning_steps, 1.0)
        return self.cloning + share * (self.cloning_at_end - self.cloning)
