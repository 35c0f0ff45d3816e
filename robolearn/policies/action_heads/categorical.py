"""Actions that are whole numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from robolearn.policies.action_heads.base import ActionDistribution, ActionHead
from robolearn.policies.action_heads.densities import draw_category
from robolearn.policies.action_heads.padding import mean_over_steps, sum_of_steps


class Categorical(ActionDistribution):
    """Independent whole numbers.

    Args:
        log_probs: (B, H, A, N) of the numbers from ``low`` on; minus infinity beyond an element's
            last one.
        low: (A,) int64, the least number of each element.
    """

    def __init__(self, log_probs: torch.Tensor, low: torch.Tensor) -> None:
        self._log_probs = log_probs
        self._low = low

    @property
    def probs(self) -> torch.Tensor:
        """(B, H, A, N) probabilities of the numbers from ``low`` on."""
        return self._log_probs.exp()

    def sample(
        self, generator: torch.Generator | None = None, *, low_noise: bool = False
    ) -> torch.Tensor:
        """(B, H, A) int64; there is no noise to be left out."""
        return draw_category(self._log_probs.detach(), generator) + self._low

    def mode(self) -> torch.Tensor:
        """(B, H, A) int64."""
        return self._log_probs.argmax(-1) + self._low

    def log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        """(B, H, A) whole numbers of any type → (B,); minus infinity where one is out of range."""
        return self.log_prob_of_steps(actions).sum(-1)

    def log_prob_of_steps(self, actions: torch.Tensor) -> torch.Tensor:
        """(B, H, A) whole numbers → (B, H)."""
        numbers = actions.round().long() if actions.is_floating_point() else actions
        index = numbers - self._low
        inside = index.clamp(0, self._log_probs.shape[-1] - 1)
        log_prob = self._log_probs.gather(-1, inside[..., None]).squeeze(-1)
        return log_prob.masked_fill(inside != index, -torch.inf).sum(-1)

    def entropy(self) -> torch.Tensor:
        """(B,) in nats, exact."""
        finite = self._log_probs.clamp_min(torch.finfo(self._log_probs.dtype).min)
        return -(self.probs * finite).sum((-3, -2, -1))


class CategoricalHead(ActionHead):
    """A softmax over the numbers of each element of each step.

    p(a) = Π_{h,i} softmax(l_{h,i}(x))[a_{h,i} − low_i]; L = −log p(a), the cross-entropy (Bridle
    1990, "Probabilistic interpretation of feedforward classification network outputs").

    Args:
        width: W, of the feature vector.
        horizon: H.
        low: (A,) least number of each element.
        high: (A,) greatest; elements may have different counts.
    """

    has_density = True
    is_discrete = True
    low: torch.Tensor
    impossible: torch.Tensor

    def __init__(
        self, width: int, horizon: int, low: Sequence[float], high: Sequence[float]
    ) -> None:
        super().__init__(horizon, len(low))
        least = torch.tensor(low, dtype=torch.float64).round().long()
        counts = torch.tensor(high, dtype=torch.float64).round().long() - least + 1
        self._count = int(counts.max())
        self.register_buffer("low", least, persistent=False)
        impossible = torch.arange(self._count) >= counts[:, None]
        self.register_buffer("impossible", impossible, persistent=False)
        self.logits = nn.Linear(width, horizon * self.size * self._count)

    def distribution(self, features: torch.Tensor) -> Categorical:
        logits = self.logits(features).float().view(-1, self.horizon, self.size, self._count)
        logits = logits.masked_fill(self.impossible, -torch.inf)
        return Categorical(logits.log_softmax(-1), self.low)

    def losses(
        self,
        features: torch.Tensor,
        actions: torch.Tensor,
        is_pad: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> dict[str, torch.Tensor]:
        log_prob = self.distribution(features).log_prob_of_steps(actions)
        return {"action": -mean_over_steps(sum_of_steps(log_prob, is_pad), is_pad)}
