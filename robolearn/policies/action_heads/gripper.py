"""Whether each gripper is to be closed, beside any head for the arm."""

from __future__ import annotations

import warnings

import torch
from torch import nn
from torch.nn import functional

from robolearn.episodes.frames import Array
from robolearn.policies.action_heads.config import GripperConfig
from robolearn.policies.action_heads.padding import mean_over_steps, sum_of_steps


class GripperDistribution:
    """Independent Bernoullis.

    Args:
        logits: (B, H, G) of closed.
    """

    def __init__(self, logits: torch.Tensor) -> None:
        self._logits = logits

    @property
    def probs(self) -> torch.Tensor:
        """(B, H, G) probabilities of closed."""
        return self._logits.sigmoid()

    def sample(self, generator: torch.Generator | None = None) -> torch.Tensor:
        """(B, H, G) bool, True where closed."""
        return torch.bernoulli(self.probs.detach(), generator=generator).bool()

    def mode(self) -> torch.Tensor:
        """(B, H, G) bool, True where closed is likelier."""
        return self._logits > 0

    def log_prob(self, closed: torch.Tensor) -> torch.Tensor:
        """(B, H, G) bool, or 1 where closed → (B,)."""
        losses = functional.binary_cross_entropy_with_logits(
            self._logits, closed.float(), reduction="none"
        )
        return -losses.sum((-2, -1))

    def entropy(self) -> torch.Tensor:
        """(B,) in nats, exact."""
        losses = functional.binary_cross_entropy_with_logits(
            self._logits, self.probs, reduction="none"
        )
        return losses.sum((-2, -1))


class GripperHead(nn.Module):
    """A Bernoulli for each gripper and step.

    L = −Σ_g [ω c_g log p_g(x) + (1 − c_g) log(1 − p_g(x))], c = 1 where the demonstration's gripper
    is closed and ω its weight, as a mean over the actions that are no padding.

    Args:
        width: W, of the feature vector.
        horizon: H.
        grippers: G, which may be none.
        config: weight of closed.
    """

    closed_weight: torch.Tensor

    def __init__(self, width: int, horizon: int, grippers: int, config: GripperConfig) -> None:
        super().__init__()
        self._shape = (horizon, grippers)
        weight = torch.tensor(config.closed_weight)
        self.register_buffer("closed_weight", weight, persistent=False)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Initializing zero-element tensors")
            self.closed = nn.Linear(width, horizon * grippers)

    def distribution(self, features: torch.Tensor) -> GripperDistribution:
        """(B, W) → distribution over (B, H, G)."""
        return GripperDistribution(self._logits(features))

    def losses(
        self, features: torch.Tensor, closed: torch.Tensor, is_pad: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """What to minimise, in nats an action.

        Args:
            features: (B, W).
            closed: (B, H, G) bool, or 1 where the demonstration's gripper is closed.
            is_pad: (B, H) bool.

        Returns:
            ``gripper``.
        """
        losses = functional.binary_cross_entropy_with_logits(
            self._logits(features),
            closed.float(),
            reduction="none",
            pos_weight=self.closed_weight,
        ).sum(-1)
        return {"gripper": mean_over_steps(sum_of_steps(losses, is_pad), is_pad)}

    def _logits(self, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.closed(features)
        return logits.float().view(len(logits), *self._shape)


class GripperHysteresis[Values: (torch.Tensor, Array)]:
    """Keeps a gripper from chattering while its probability is about one half.

    An open gripper closes above one probability, and a closed one opens below another.

    Args:
        config: the two probabilities.
    """

    def __init__(self, config: GripperConfig) -> None:
        self._close_above = config.close_above
        self._open_below = config.open_below
        self._closed: Values | None = None

    def reset(self) -> None:
        """Forget the last state: the next is as is more probable."""
        self._closed = None

    def __call__(self, probs: Values) -> Values:
        """Decide one step.

        Args:
            probs: (..., G) of closed.

        Returns:
            (..., G) bool, True where closed.
        """
        if self._closed is None:
            closed = probs > 0.5
        else:
            closed = (probs > self._close_above) | (self._closed & (probs >= self._open_below))
        self._closed = closed
        return closed
