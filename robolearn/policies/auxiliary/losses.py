"""Auxiliary losses, each with its weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import nn

from robolearn.episodes.features import Feature
from robolearn.episodes.loading.windows import Batch
from robolearn.policies.auxiliary.config import AuxiliaryConfig
from robolearn.policies.auxiliary.features import arm_features, object_features
from robolearn.policies.auxiliary.predictions import (
    FinalPose,
    InverseDynamics,
    NextObservation,
    Pose,
    Prediction,
)
from robolearn.policies.share import WHOLE, Share


class AuxiliaryLosses(nn.Module):
    """What the vectors that actions follow from should say, too. At run time none is computed.

    Arm, final and object pose follow Zhang et al. 2018, "Deep Imitation Learning for Complex
    Manipulation Tasks from Virtual Reality Teleoperation", section III.B; forward model and inverse
    dynamics Agrawal et al. 2016, "Learning to Poke by Poking", section 3.

    Args:
        config: weights; what has none is not made.
        width: W, of the vectors.
        size: A, elements of an action.
        seen: the vectors of a frame that the policy sees.
        learnt: the features that `learnt_features` gave.
    """

    def __init__(
        self,
        config: AuxiliaryConfig,
        width: int,
        size: int,
        seen: Mapping[str, Feature],
        learnt: Mapping[str, Feature],
    ) -> None:
        super().__init__()
        hidden = config.hidden
        made: dict[str, Prediction] = {}
        if config.arm_pose:
            made["arm_pose"] = Pose(width, hidden, arm_features(config, learnt))
        if config.final_pose:
            made["final_pose"] = FinalPose(width, hidden, arm_features(config, learnt))
        if config.object_pose:
            made["object_pose"] = Pose(width, hidden, object_features(config, learnt))
        if config.next_observation:
            made["next_observation"] = NextObservation(width, hidden, seen or learnt, size)
        if config.inverse_dynamics:
            made["inverse_dynamics"] = InverseDynamics(width, hidden, size)
        self.predictions = nn.ModuleDict(made)
        self._weights: dict[str, float] = {name: getattr(config, name) for name in made}

    def __bool__(self) -> bool:
        return bool(self._weights)

    def fit(self, observations: Mapping[str, torch.Tensor]) -> None:
        """Take the normalisation from (N, D) frames by feature name.

        Raises:
            FeatureMismatch: a feature is missing, or constant in all frames.
            DatasetError: there are no frames, or a value is not finite.
        """
        for name, prediction in self._named():
            option = "object_features" if name == "object_pose" else "arm_features"
            prediction.fit(
                observations,
                f"leave out auxiliary.{name}, which predicts it, or name with auxiliary.{option} "
                "what varies",
            )

    def forward(
        self, vectors: torch.Tensor, batch: Batch, between: torch.Tensor, share: Share = WHOLE
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """What to minimise.

        Args:
            vectors: (B, F, W) of the last F frames of the windows.
            batch: the windows.
            between: (B, F − 1, A) the actions that led from each of these frames to the next,
                normalised.
            share: as in `Policy.losses`.

        Returns:
            The sum of the losses with their weights; and each without it, by name.
        """
        losses = {
            name: each.share(share) * each.loss(vectors, batch, between)
            for name, each in self._named()
        }
        weighted = [self._weights[name] * loss for name, loss in losses.items()]
        return torch.stack(weighted).sum(), losses

    def _named(self) -> list[tuple[str, Prediction]]:
        return [(name, cast(Prediction, each)) for name, each in self.predictions.items()]
