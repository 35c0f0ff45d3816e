"""How a policy is improved by a reward. Imports no torch, so that ``--help`` is quick."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from robolearn.shelf import STRICT

type Count = Annotated[int, Field(ge=1)]
type Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
type NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
type Rate = Annotated[float, Field(gt=0, le=1)]
type Share = Annotated[float, Field(ge=0, le=1)]
type Method = Literal["off-policy", "trpo", "ppo", "actor-critic", "reinforce"]


@dataclass(frozen=True)
class OffPolicyConfig:
    """An actor and its critics, from everything that was ever tried.

    Attributes:
        updates: of the critics, for each control step.
        actor_every: updates of the critics to one of the actor.
        batch: transitions in an update of the critics, half of them demonstrated; the actor learns
            from half as many.
        hidden: width of the critics' layers.
        critic_rate: learning rate of the critics.
        actor_rate: learning rate of the policy.
        follow: share of the way that the critics' copies, which give the targets, go at each update
            of the actor.
        exploration: standard deviation of the noise on the arm's action in rollouts, in the
            action's own units.
    """

    updates: Annotated[float, Field(gt=0, le=100)] = 0.25
    actor_every: Count = 2
    batch: Annotated[int, Field(ge=2, multiple_of=2)] = 256
    hidden: Count = 128
    critic_rate: Rate = 1e-3
    actor_rate: Rate = 3e-4
    follow: Share = 0.05
    exploration: NotNegative = 0.06

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class TrpoConfig:
    """The largest step that changes the policy by no more than so much.

    Attributes:
        divergence: most that the new policy may differ from the old, mean KL in nats.
        damping: added to the Fisher information's diagonal.
        products: steps of the conjugate gradient.
        halvings: of the step, until it keeps to the limit and is an improvement.
    """

    divergence: Positive = 0.03
    damping: Positive = 0.1
    products: Count = 10
    halvings: Count = 10

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class PpoConfig:
    """Several passes over the same rollouts.

    Attributes:
        learning_rate: of Adam.
        clip: how far the ratio of new to old probability pays off.
        divergence: change of the policy after which no further pass is made: the least KL in nats
            that it can be.
        passes: over the rollouts.
        batch: transitions in a step.
    """

    learning_rate: Rate = 1e-4
    clip: Positive = 0.2
    divergence: Positive = 0.03
    passes: Count = 10
    batch: Count = 512

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class GradientConfig:
    """One step along the gradient.

    Attributes:
        learning_rate: of Adam.
    """

    learning_rate: Rate = 1e-3

    __pydantic_config__ = STRICT


@dataclass(frozen=True)
class UpdateConfig:
    """How the policy is improved.

    Attributes:
        method: which; it takes its options from the table of its name, ``actor-critic`` and
            ``reinforce`` from ``gradient``, and leaves the others alone.
        discount: γ.
        trace: λ of the advantages (GAE) of ``trpo``, ``ppo`` and ``actor-critic``.
        entropy: worth of a nat of entropy, in the reward's units, for all but ``off-policy``.
        value_rate: learning rate of the value function, for all but ``off-policy``.
        value_passes: passes over the rollouts for each update of the value function, likewise.
        off_policy: replays everything that was ever tried, and needs the fewest control steps.
        trpo: the largest step within a limit.
        ppo: several passes over the same rollouts.
        gradient: one step along the gradient: ``actor-critic`` (A2C) and ``reinforce``.
    """

    method: Method = "off-policy"
    discount: Annotated[float, Field(gt=0, lt=1)] = 0.98
    trace: Share = 0.95
    entropy: NotNegative = 0.0
    value_rate: Rate = 1e-3
    value_passes: Count = 5
    off_policy: OffPolicyConfig = field(default_factory=OffPolicyConfig)
    trpo: TrpoConfig = field(default_factory=TrpoConfig)
    ppo: PpoConfig = field(default_factory=PpoConfig)
    gradient: GradientConfig = field(default_factory=GradientConfig)

    __pydantic_config__ = STRICT
