"""What can be predicted from the vectors that actions follow from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import nn

from robolearn.episodes.features import Feature
from robolearn.episodes.loading.windows import Batch
from robolearn.policies.encoders.config import EncoderConfig
from robolearn.policies.encoders.state import StateEncoder
from robolearn.policies.layers import perceptron
from robolearn.policies.share import Share


class Prediction(nn.Module, ABC):
    """A network with one hidden layer, and the error of what it says.

    Args:
        inputs: numbers that it sees.
        hidden: width of its hidden layer.
        outputs: numbers that it says.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.network = nn.Sequential(*perceptron(inputs, (hidden,)), nn.Linear(hidden, outputs))

    def fit(self, observations: Mapping[str, torch.Tensor], remedy: str) -> None:
        """Take the normalisation of what is predicted from (N, D) frames by feature name.

        Args:
            observations: the frames.
            remedy: what to do about a feature that is constant in all frames, for the message.

        Raises:
            FeatureMismatch: a feature is missing, or constant in all frames.
        """

    @abstractmethod
    def loss(self, vectors: torch.Tensor, batch: Batch, between: torch.Tensor) -> torch.Tensor:
        """Mean squared error, a mean over the frames that are no padding.

        Args:
            vectors: (B, F, W) of the last F frames of the windows.
            batch: the windows.
            between: (B, F − 1, A) the actions that led from each of these frames to the next,
                normalised.
        """

    def share(self, share: Share) -> torch.Tensor | float:
        """What counts, of a part of a batch, for what this is a mean over."""
        return share.frames

    def _error(
        self, given: torch.Tensor, wanted: torch.Tensor, is_pad: torch.Tensor
    ) -> torch.Tensor:
        """Of (B, n, ...) frames, but for those that (B, n) are padding."""
        errors: torch.Tensor = (self.network(given).float() - wanted).square().mean(-1)
        counted = ~is_pad
        return (errors * counted).sum() / counted.sum().clamp_min(1)


class Pose(Prediction):
    """Features at the frame itself: ‖f(h_t) − x_t‖².

    Normalised as a policy's inputs are, see `StateEncoder`.

    Args:
        width: W, of h.
        hidden: width of the hidden layer.
        features: x.
    """

    def __init__(self, width: int, hidden: int, features: Mapping[str, Feature]) -> None:
        target = StateEncoder(features, EncoderConfig())
        super().__init__(width, hidden, target.width)
        self.target = target
        self._names = tuple(features)

    def fit(self, observations: Mapping[str, torch.Tensor], remedy: str) -> None:
        self.target.fit(observations, remedy)

    def loss(self, vectors: torch.Tensor, batch: Batch, between: torch.Tensor) -> torch.Tensor:
        count = vectors.shape[1]
        return self._error(vectors, self._seen(batch, count), batch.observation_is_pad[:, -count:])

    def _seen(self, batch: Batch, count: int) -> torch.Tensor:
        """(B, ``count``, D) of the last frames."""
        seen: torch.Tensor = self.target(
            {name: batch.observations[name][:, -count:] for name in self._names}
        )
        return seen


class FinalPose(Pose):
    """Features at the episode's last frame T: ‖f(h_t) − x_T‖²."""

    def loss(self, vectors: torch.Tensor, batch: Batch, between: torch.Tensor) -> torch.Tensor:
        ends = {name: batch.final_observations[name].unsqueeze(1) for name in self._names}
        is_pad = batch.observation_is_pad[:, -vectors.shape[1] :]
        return self._error(vectors, self.target(ends), is_pad)


class NextObservation(Pose):
    """Features at the next frame, the forward model: ‖f(h_t, a_t) − x_{t+1}‖².

    Args:
        width: W, of h.
        hidden: width of the hidden layer.
        features: x.
        size: A, elements of an action.
    """

    def __init__(self, width: int, hidden: int, features: Mapping[str, Feature], size: int) -> None:
        super().__init__(width + size, hidden, features)

    def loss(self, vectors: torch.Tensor, batch: Batch, between: torch.Tensor) -> torch.Tensor:
        count = vectors.shape[1]
        given = torch.cat([vectors[:, :-1], between], -1)
        is_pad = batch.observation_is_pad[:, -count:-1]
        return self._error(given, self._seen(batch, count - 1), is_pad)

    def share(self, share: Share) -> torch.Tensor | float:
        return share.transitions


class InverseDynamics(Prediction):
    """The action between two frames: ‖f(h_t, h_{t+1}) − a_t‖².

    Args:
        width: W, of h.
        hidden: width of the hidden layer.
        size: A, elements of an action.
    """

    def __init__(self, width: int, hidden: int, size: int) -> None:
        super().__init__(2 * width, hidden, size)

    def loss(self, vectors: torch.Tensor, batch: Batch, between: torch.Tensor) -> torch.Tensor:
        given = torch.cat([vectors[:, :-1], vectors[:, 1:]], -1)
        return self._error(given, between, batch.observation_is_pad[:, -vectors.shape[1] : -1])

    def share(self, share: Share) -> torch.Tensor | float:
        return share.transitions
