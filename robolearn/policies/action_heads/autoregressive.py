"""One element after the other, in bins."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn import functional

from robolearn.policies.action_heads.base import ActionDistribution, ActionHead
from robolearn.policies.action_heads.config import AutoregressiveConfig
from robolearn.policies.action_heads.densities import draw_category
from robolearn.policies.action_heads.padding import hold_last, mean_over_steps, sum_of_steps
from robolearn.policies.action_heads.value_range import ValueRange

_INITIAL = 0.1
"""Scale of the learnt vectors at first: they must not drown what is seen."""


class Autoregressive(ActionDistribution):
    """Bins drawn one after the other, and values spread evenly in each.

    Args:
        head: that it came from.
        features: (B, W).
    """

    def __init__(self, head: AutoregressiveHead, features: torch.Tensor) -> None:
        self._head = head
        self._features = features

    @torch.no_grad()
    def sample(
        self, generator: torch.Generator | None = None, *, low_noise: bool = False
    ) -> torch.Tensor:
        """(B, H, A); with low noise, the middle of each bin that is drawn."""
        bins = self._head.generate(self._features, partial(draw_category, generator=generator))
        if low_noise:
            return self._head.values(bins, 0.5)
        within = torch.rand(bins.shape, generator=generator, device=bins.device)
        return self._head.values(bins, within)

    @torch.no_grad()
    def mode(self) -> torch.Tensor:
        """(B, H, A): of each element the middle of the likeliest bin, given those before it.

        That is the greedy choice; the likeliest chunk as a whole may be another.
        """
        bins = self._head.generate(self._features, lambda logits: logits.argmax(-1))
        return self._head.values(bins, 0.5)

    def log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        """(B, H, A) → (B,); minus infinity outside of the demonstrations' range."""
        log_density = self._head.log_density_of_steps(self._features, actions).sum(-1)
        extent = self._head.range
        inside = ((actions >= extent.low) & (actions <= extent.high)).all(-1).all(-1)
        return log_density.masked_fill(~inside, -torch.inf)


class AutoregressiveHead(ActionHead):
    """Each element of the chunk given those before it, step by step (h), then by element (i).

    p(a) = Π_d p(b_d | x, b_1 … b_{d−1}) / width_d, with b the bin of a among equal ones over the
    demonstrations' range (Metz et al. 2017, "Discrete Sequential Prediction of Continuous Actions
    for Deep RL"; RT-1 has such bins, too). L = −log p(a). Dividing by the bin's width makes it a
    density, so that its log-probabilities compare with those of the other heads.

    The network is a neural autoregressive distribution estimator (Uria et al. 2016, equations 3 to
    5, with a second hidden layer): what element d is predicted from is the sum of a learnt vector
    for each bin before it, so that all elements are trained in one pass, and drawing adds one
    vector after the other.

    Args:
        width: W, of the feature vector.
        horizon: H.
        size: A.
        config: bins and width of the network.
    """

    has_density = True

    def __init__(self, width: int, horizon: int, size: int, config: AutoregressiveConfig) -> None:
        super().__init__(horizon, size)
        self._bins = config.bins
        elements = horizon * size
        self.range = ValueRange(size)
        self.features = nn.Linear(width, config.hidden)
        self.positions = nn.Parameter(_INITIAL * torch.randn(elements, config.hidden))
        # Bins that lie side by side mean nearly the same, which need not be learnt bin by bin.
        slopes = _INITIAL * torch.randn(elements, 1, config.hidden)
        of_bins = torch.linspace(-1, 1, config.bins)[:, None] * slopes
        self.of_bins = nn.Parameter(of_bins.flatten(0, 1))
        self.logits = nn.Sequential(
            nn.LayerNorm(config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, config.bins),
        )

    def fit(self, actions: torch.Tensor) -> None:
        self.range.fit(actions)

    def distribution(self, features: torch.Tensor) -> Autoregressive:
        return Autoregressive(self, features)

    def losses(
        self,
        features: torch.Tensor,
        actions: torch.Tensor,
        is_pad: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> dict[str, torch.Tensor]:
        """As `ActionHead.losses`; what is out of range counts as in the outermost bin."""
        log_density = self.log_density_of_steps(features, hold_last(actions, is_pad))
        return {"action": -mean_over_steps(sum_of_steps(log_density, is_pad), is_pad)}

    def log_density_of_steps(self, features: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """(B, W) and (B, H, A) → (B, H), each given the steps before it."""
        bins = self._bin_of(actions).flatten(1)
        offsets = torch.arange(0, len(self.of_bins), self._bins, device=bins.device)
        # With the last one, which nothing follows: of no elements there is no second derivative.
        added = functional.embedding(bins + offsets, self.of_bins)
        before = functional.pad(added.cumsum(1)[:, :-1], (0, 0, 1, 0))
        logits = self.logits(before + self.positions + self.features(features)[:, None]).float()
        # Cross-entropy in one operation: no log-probabilities of all bins are kept for backward.
        log_prob = -functional.cross_entropy(logits.flatten(0, 1), bins.flatten(), reduction="none")
        return (log_prob.view(actions.shape) - self._width.log()).sum(-1)

    def generate(
        self, features: torch.Tensor, choose: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """(B, H, A) bins, chosen by ``choose``, (B, K) logits → (B,), one after the other."""
        state = self.features(features)
        bins = []
        for element, position in enumerate(self.positions):
            bins.append(choose(self.logits(state + position).float()))
            state = state + self.of_bins[bins[-1] + element * self._bins]
        return torch.stack(bins, 1).view(-1, self.horizon, self.size)

    def values(self, bins: torch.Tensor, within: torch.Tensor | float) -> torch.Tensor:
        """(B, H, A) bins, and where in each from 0 to 1 → (B, H, A) actions."""
        return self.range.low + (bins + within) * self._width

    @property
    def _width(self) -> torch.Tensor:
        return (self.range.high - self.range.low) / self._bins

    def _bin_of(self, actions: torch.Tensor) -> torch.Tensor:
        bins = ((actions - self.range.low) / self._width).floor()
        return bins.clamp(0, self._bins - 1).long()
