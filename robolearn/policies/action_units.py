"""Between the environment's actions and what the heads predict."""

from __future__ import annotations

import torch
from torch import nn

from robolearn.episodes.features import ActionFeature
from robolearn.policies.normalizer import Normalizer

_LEAST_SCALE = 1e-2
"""In the action's own units: what varies less is not blown up to unit size."""


class ActionUnits(nn.Module):
    """Takes actions apart into arm and gripper, and puts them together.

    The arm's elements are normalised to zero mean and unit deviation; whole numbers stay as they
    are. The gripper's elements open (``low``) or close (``high``) it, and there is nothing between.

    Args:
        action: what is decided.

    Attributes:
        is_discrete: actions are whole numbers.
    """

    _low: torch.Tensor
    _high: torch.Tensor
    _arm: torch.Tensor
    _gripper: torch.Tensor
    _order: torch.Tensor

    def __init__(self, action: ActionFeature) -> None:
        super().__init__()
        arm, gripper = list(action.arm), list(action.gripper)
        self.is_discrete = action.dtype.startswith("int")
        self.arm_normalizer = Normalizer(len(arm), least_scale=_LEAST_SCALE)
        low, high = torch.tensor(action.low), torch.tensor(action.high)
        order = torch.tensor([*arm, *gripper]).argsort()
        for name, value in (
            ("_low", low[gripper]),
            ("_high", high[gripper]),
            ("_arm", torch.tensor(arm, dtype=torch.long)),
            ("_gripper", torch.tensor(gripper, dtype=torch.long)),
            ("_order", order),
        ):
            self.register_buffer(name, value, persistent=False)
        self._has_gripper = bool(gripper)
        self._in_order = order.tolist() == list(range(len(order)))
        if self.is_discrete:
            self.arm_normalizer.set(
                (low[arm] + high[arm]) / 2, ((high[arm] - low[arm]) / 2).clamp_min(0.5)
            )

    def fit(self, actions: torch.Tensor) -> None:
        """Take the normalisation from (N, A) actions.

        Raises:
            DatasetError: there are none, or one is not finite.
        """
        if not self.is_discrete:
            self.arm_normalizer.fit(self._arm_of(actions))

    def arm(self, actions: torch.Tensor) -> torch.Tensor:
        """(..., A) → (..., A_arm), as the arm's head predicts it."""
        arm = self._arm_of(actions)
        return arm if self.is_discrete else self.arm_normalizer(arm)

    def closed(self, actions: torch.Tensor) -> torch.Tensor:
        """(..., A) → (..., G) bool, True where the action is nearer to closed than to open."""
        return actions.index_select(-1, self._gripper) > (self._low + self._high) / 2

    def past(self, actions: torch.Tensor) -> torch.Tensor:
        """(..., A) → (..., A) as a memory sees what was done: the arm's elements, normalised, then
        the gripper's, from −1 (open) to 1.
        """
        arm: torch.Tensor = self.arm_normalizer(self._arm_of(actions))
        if not self._has_gripper:
            return arm
        gripper = actions.index_select(-1, self._gripper)
        scaled = (2 * gripper - self._low - self._high) / (self._high - self._low)
        return torch.cat([arm, scaled], -1)

    def arm_in_units(self, arm: torch.Tensor) -> torch.Tensor:
        """(..., A_arm) as predicted → (..., A_arm) in the environment's units."""
        return arm if self.is_discrete else self.arm_normalizer.inverse(arm)

    def joined(self, arm: torch.Tensor, closed: torch.Tensor) -> torch.Tensor:
        """(..., A_arm) in the environment's units and (..., G) bool → (..., A)."""
        if not self._has_gripper:
            return arm
        gripper = torch.where(closed, self._high, self._low).to(arm.dtype)
        joined = torch.cat([arm, gripper], -1)
        return joined if self._in_order else joined.index_select(-1, self._order)

    def _arm_of(self, actions: torch.Tensor) -> torch.Tensor:
        return actions.index_select(-1, self._arm) if self._has_gripper else actions
