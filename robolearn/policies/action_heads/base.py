"""What every action head answers to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import nn

from robolearn.errors import NoDensity


class ActionDistribution(ABC):
    """What a head makes of B feature vectors. Chunks are (B, H, A)."""

    @abstractmethod
    def sample(
        self, generator: torch.Generator | None = None, *, low_noise: bool = False
    ) -> torch.Tensor:
        """(B, H, A): one chunk drawn for each feature vector. No gradient flows through it.

        Args:
            generator: to draw from, on the features' device; None means torch's own.
            low_noise: which way to go on is drawn, but the noise about that way is left out where
                the head knows the two apart, as robomimic does at evaluation (Mandlekar et al.
                2021, "What Matters in Learning from Offline Human Demonstrations", appendix).
        """

    @abstractmethod
    def mode(self) -> torch.Tensor:
        """(B, H, A): the best single chunk, always the same for the same features."""

    def alternatives(
        self, generator: torch.Generator | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Chunks a_m and weights w_m through which a gradient flows: that of E f(a) is the
        gradient of Σ_m w_m f(a_m), for any f that is differentiated by its argument, too.

        Here they are two draws with low noise, and the gradient that of the likelihood ratio, each
        draw being the other's baseline (Kool et al. 2019, "Buy 4 REINFORCE Samples, Get a Baseline
        for Free!"). That holds where what is drawn with low noise has the probabilities that
        `log_prob` tells apart, as of bins; other heads give what they have.

        Returns:
            (B, M, H, A) and (B, M), which sum to 1.

        Raises:
            NoDensity: the head has none.
        """
        chunks = [self.sample(generator, low_noise=True).detach() for _ in range(2)]
        first, second = (self.log_prob(chunk) for chunk in chunks)
        lead = first - second
        shift = 0.5 * (lead - lead.detach())
        return torch.stack(chunks, 1), torch.stack([0.5 + shift, 0.5 - shift], 1)

    def log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        """Log-density of whole chunks, in nats.

        Args:
            actions: (B, H, A).

        Returns:
            (B,).

        Raises:
            NoDensity: the head has none (its ``has_density`` is False).
        """
        raise NoDensity(
            f"a {type(self).__name__} has no density: take the head gaussian, mixture, "
            "categorical, autoregressive or realnvp where probabilities are needed"
        )


class ActionHead(nn.Module, ABC):
    """From what was seen to a distribution over the actions to come.

    A chunk is (B, H, A): H actions, the present one first. Actions are normalised to zero mean and
    unit deviation over the demonstrations, or whole numbers as they are where ``is_discrete``.

    Args:
        horizon: H.
        size: A, elements of an action.
    """

    has_density: ClassVar[bool]
    """Whether its distributions have a `ActionDistribution.log_prob`."""

    is_discrete: ClassVar[bool] = False
    """Whether its actions are whole numbers, which must not be normalised."""

    acts_by: ClassVar[Literal["mode", "low-noise"]] = "mode"
    """What a policy carries out where nothing else is asked for."""

    def __init__(self, horizon: int, size: int) -> None:
        super().__init__()
        self.horizon = horizon
        self.size = size

    def fit(self, actions: torch.Tensor) -> None:
        """Take from (N, A) actions of the demonstrations what must be known before training.

        Autoregressive and diffusion heads keep the range of each element.
        """

    def as_chunks(self, flat: torch.Tensor) -> torch.Tensor:
        """(..., H * A) of any float type → (..., H, A) float32."""
        return flat.float().view(*flat.shape[:-1], self.horizon, self.size)

    @abstractmethod
    def distribution(self, features: torch.Tensor) -> ActionDistribution:
        """(B, W) → distribution over (B, H, A)."""

    @abstractmethod
    def losses(
        self,
        features: torch.Tensor,
        actions: torch.Tensor,
        is_pad: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> dict[str, torch.Tensor]:
        """What to minimise, as a mean over the actions that are no padding.

        Args:
            features: (B, W).
            actions: (B, H, A) of the demonstrations.
            is_pad: (B, H) bool; nothing depends on what stands there.
            generator: of the noise that some heads train with; None means torch's own, as dropout.

        Returns:
            ``action``, and further ones to look at. Likelihoods are in nats an action of the chunk.
        """
