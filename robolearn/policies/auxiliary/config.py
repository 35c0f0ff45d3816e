"""What else is learnt beside actions. Imports no torch, so that ``--help`` is quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from robolearn.shelf import STRICT

type Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class AuxiliaryConfig:
    """Weights of further losses on the vectors that actions follow from; 0 leaves one out.

    Each is the mean squared error of a small network, in units of the demonstrations' variance.

    Attributes:
        arm_pose: where the arm is.
        final_pose: where the arm is at the end of the episode.
        object_pose: where the objects are; they need not be seen by the policy.
        next_observation: what is seen at the next frame, from the action (forward model).
        inverse_dynamics: the action that led from one frame to the next.
        arm_features: of the dataset, that say where the arm is; none named means those that end in
            ``eef_pos`` and ``eef_quat``, or else all of ``observation.state``.
        object_features: likewise, where the objects are; none named means
            ``observation.environment_state``.
        hidden: width of the hidden layer of each network.
    """

    arm_pose: Weight = 0.0
    final_pose: Weight = 0.0
    object_pose: Weight = 0.0
    next_observation: Weight = 0.0
    inverse_dynamics: Weight = 0.0
    arm_features: tuple[str, ...] = ()
    object_features: tuple[str, ...] = ()
    hidden: Annotated[int, Field(ge=1)] = 128

    __pydantic_config__ = STRICT

    @property
    def needs_arm(self) -> bool:
        """It is learnt where the arm is, now or at the end."""
        return bool(self.arm_pose or self.final_pose)

    @property
    def needs_transitions(self) -> bool:
        """It is learnt what happens from one frame to the next."""
        return bool(self.next_observation or self.inverse_dynamics)
