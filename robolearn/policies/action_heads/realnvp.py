"""A normalising flow of affine couplings."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from robolearn.policies.action_heads.base import ActionDistribution, ActionHead
from robolearn.policies.action_heads.config import MixtureConfig, RealNvpConfig
from robolearn.policies.action_heads.densities import normal_like
from robolearn.policies.action_heads.mixture import Mixture, MixtureHead
from robolearn.policies.action_heads.padding import hold_last, mean_over_steps

_GREATEST_LOG_SCALE = 2.0
"""Of one coupling: it widens or narrows by no more than e²."""


class RealNvp(ActionDistribution):
    """A mixture of Gaussians, bent.

    Args:
        head: that it came from.
        features: (B, W).
    """

    def __init__(self, head: RealNvpHead, features: torch.Tensor) -> None:
        self._couplings = head.couplings
        self._base: Mixture = head.base.distribution(features)
        self._conditions = head.couplings.conditions(features)

    @torch.no_grad()
    def sample(
        self, generator: torch.Generator | None = None, *, low_noise: bool = False
    ) -> torch.Tensor:
        """(B, H, A); with low noise, where the middle of the drawn Gaussian goes."""
        base = self._base.sample(generator, low_noise=low_noise)
        return self._couplings.to_actions(base[:, None], self._conditions)[0].squeeze(1)

    @torch.no_grad()
    def mode(self) -> torch.Tensor:
        """(B, H, A): of where the Gaussians' middles go, that of the greatest density.

        An approximation: the flow may be densest elsewhere.
        """
        actions, log_det = self._couplings.to_actions(self._base.mode_actions, self._conditions)
        density = self._base.log_prob_of_each(self._base.mode_actions) - log_det
        best = density.argmax(-1)
        return actions[torch.arange(len(best), device=best.device), best]

    def alternatives(
        self, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Where the Gaussians' middles go, and their weights."""
        return self.mode_actions, self.mode_weights

    def log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        base, log_det = self._couplings.to_base(actions[:, None], self._conditions)
        return self._base.log_prob(base.squeeze(1)) + log_det.squeeze(1)

    @property
    def mode_weights(self) -> torch.Tensor:
        """(B, M) weights of the Gaussians that are bent."""
        return self._base.mode_weights

    @property
    def mode_actions(self) -> torch.Tensor:
        """(B, M, H, A): where their middles go."""
        return self._couplings.to_actions(self._base.mode_actions, self._conditions)[0]


class RealNvpHead(ActionHead):
    """A conditional RealNVP (Dinh et al. 2017, equations 7 and 8) over the whole chunk.

    a = f(u; x), p(a) = p(u) |det ∂f/∂u|⁻¹, L = −log p(a). Each coupling keeps every second
    element of the flattened chunk and maps the others u → u · exp(s) + t, with s and t computed
    from x and the elements kept; s is bounded by a tanh. u is a mixture of Gaussians that depends
    on x (Izmailov et al. 2020, "Semi-Supervised Learning with Normalizing Flows", transform one,
    too): from a single Gaussian a continuous f cannot reach separate modes without a bridge between
    them, and on a chunk of one element couplings alone are no more than a Gaussian.

    While training, noise is added to the actions: a flow would else make its density infinite where
    demonstrations repeat one value. What is padding is taken as the last action held, since a
    flow's density of a part has no closed form, and a chunk counts by its steps that are none.

    Args:
        width: W, of the feature vector.
        horizon: H.
        size: A.
        config: couplings, mixture and noise.
    """

    has_density = True

    def __init__(self, width: int, horizon: int, size: int, config: RealNvpConfig) -> None:
        super().__init__(horizon, size)
        self._noise = config.noise
        self.base = MixtureHead(width, horizon, size, MixtureConfig(config.modes, config.noise))
        self.couplings = Couplings(width, horizon, size, config)

    def distribution(self, features: torch.Tensor) -> RealNvp:
        return RealNvp(self, features)

    def losses(
        self,
        features: torch.Tensor,
        actions: torch.Tensor,
        is_pad: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> dict[str, torch.Tensor]:
        held = hold_last(actions, is_pad)
        if self.training:
            held = held + self._noise * normal_like(held, generator)
        share = (~is_pad).float().mean(1)
        return {
            "action": -mean_over_steps(self.distribution(features).log_prob(held) * share, is_pad)
        }


class Couplings(nn.Module):
    """Affine couplings one after the other; N chunks for each of B feature vectors at once.

    Args:
        width: W.
        horizon: H.
        size: A.
        config: their number and the width of their networks.
    """

    changed: torch.Tensor

    def __init__(self, width: int, horizon: int, size: int, config: RealNvpConfig) -> None:
        super().__init__()
        elements = horizon * size
        self._layers = range(config.couplings)
        self._shape = (horizon, size)
        changed = (torch.arange(elements) + torch.arange(config.couplings)[:, None]) % 2
        self.register_buffer("changed", changed.float(), persistent=False)
        # What all couplings make of the features is one product, computed once.
        self.of_features = nn.Linear(width, config.couplings * config.hidden)
        self.of_kept = nn.ModuleList(
            nn.Linear(elements, config.hidden, bias=False) for _ in self._layers
        )
        self.changes = nn.ModuleList(nn.Linear(config.hidden, 2 * elements) for _ in self._layers)
        for parameter in self.changes.parameters():  # at first, nothing is changed
            nn.init.zeros_(parameter)

    def conditions(self, features: torch.Tensor) -> torch.Tensor:
        """(B, W) → (couplings, B, 1, hidden)."""
        of_features: torch.Tensor = self.of_features(features)
        return of_features.view(len(features), len(self._layers), 1, -1).movedim(1, 0)

    def to_base(
        self, actions: torch.Tensor, conditions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N, H, A) a → u, and (B, N) log |det ∂u/∂a|."""
        values = actions.flatten(2)
        log_det = torch.zeros_like(values)
        for layer in reversed(self._layers):
            log_scale, shift = self._change(layer, values, conditions)
            values = (values - shift) * torch.exp(-log_scale)
            log_det = log_det - log_scale
        return values.view(*values.shape[:-1], *self._shape), log_det.sum(-1)

    def to_actions(
        self, base: torch.Tensor, conditions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, N, H, A) u → a, and (B, N) log |det ∂a/∂u|."""
        values = base.flatten(2)
        log_det = torch.zeros_like(values)
        for layer in self._layers:
            log_scale, shift = self._change(layer, values, conditions)
            values = values * torch.exp(log_scale) + shift
            log_det = log_det + log_scale
        return values.view(*values.shape[:-1], *self._shape), log_det.sum(-1)

    def _change(
        self, layer: int, values: torch.Tensor, conditions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-scale and shift, zero for the elements that are kept."""
        changed = self.changed[layer]
        hidden = functional.relu(self.of_kept[layer](values * (1 - changed)) + conditions[layer])
        log_scale, shift = (self.changes[layer](hidden).float()).chunk(2, -1)
        bounded = _GREATEST_LOG_SCALE * torch.tanh(log_scale / _GREATEST_LOG_SCALE)
        return bounded * changed, shift * changed
