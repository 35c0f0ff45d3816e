"""A policy's answer: arm and gripper in one, in the environment's units."""

from __future__ import annotations

import torch

from robolearn.errors import PolicyError
from robolearn.policies.action_heads.base import ActionDistribution
from robolearn.policies.action_heads.gripper import GripperDistribution
from robolearn.policies.action_heads.mixture import Mixture
from robolearn.policies.action_units import ActionUnits


class PolicyDistribution(ActionDistribution):
    """Over chunks (B, H, A) of the environment's actions.

    Args:
        arm: over the arm's elements, (B, H, A_arm), normalised.
        gripper: over (B, H, G), True where closed; independent of the arm.
        units: of the actions.

    Attributes:
        arm: likewise.
        gripper: likewise.
    """

    def __init__(
        self, arm: ActionDistribution, gripper: GripperDistribution, units: ActionUnits
    ) -> None:
        self.arm = arm
        self.gripper = gripper
        self._units = units

    def sample(
        self, generator: torch.Generator | None = None, *, low_noise: bool = False
    ) -> torch.Tensor:
        """As `ActionDistribution.sample`; with low noise, the gripper as is more probable."""
        arm = self.arm.sample(generator, low_noise=low_noise)
        closed = self.gripper.mode() if low_noise else self.gripper.sample(generator)
        return self._units.joined(self._units.arm_in_units(arm), closed)

    def mode(self) -> torch.Tensor:
        """(B, H, A): the arm's best chunk, the gripper as is more probable."""
        return self._units.joined(self._units.arm_in_units(self.arm.mode()), self.gripper.mode())

    def alternatives(
        self, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As `ActionDistribution.alternatives`, each of the arm's with the grippers open and closed
        in all ways, G of them at the first step of the chunk: the mean over these is exact.
        """
        arm, weights = self.arm.alternatives(generator)
        arm = self._units.arm_in_units(arm)
        probs = self.gripper.probs
        if not probs.shape[-1]:
            return arm, weights
        ways = torch.cartesian_prod(*[torch.tensor([False, True])] * probs.shape[-1])
        ways = ways.view(-1, probs.shape[-1])
        count = len(ways)
        closed = ways[None, :, None].expand(len(arm), -1, probs.shape[1], -1)
        likely = torch.where(ways, probs[:, :1], 1 - probs[:, :1]).prod(-1)
        both = self._units.joined(
            arm.repeat_interleave(count, 1), closed.repeat(1, arm.shape[1], 1, 1)
        )
        return both, (weights[:, :, None] * likely[:, None]).flatten(1)

    def log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        """As `ActionDistribution.log_prob`, the density being that of the normalised arm action."""
        gripper = self.gripper.log_prob(self._units.closed(actions))
        return self.arm.log_prob(self._units.arm(actions)) + gripper

    @property
    def mode_weights(self) -> torch.Tensor:
        """(B, M) weights of the mixture.

        Raises:
            PolicyError: the head is no mixture (`Policy.modes` is 0).
        """
        return self._mixture.mode_weights

    @property
    def mode_actions(self) -> torch.Tensor:
        """(B, M, H, A_arm) means of the mixture's Gaussians, in the environment's units.

        Raises:
            PolicyError: the head is no mixture (`Policy.modes` is 0).
        """
        return self._units.arm_in_units(self._mixture.mode_actions)

    @property
    def _mixture(self) -> Mixture:
        if not isinstance(self.arm, Mixture):
            raise PolicyError(
                f"a {type(self.arm).__name__} has no modes: they are the head mixture's"
            )
        return self.arm
