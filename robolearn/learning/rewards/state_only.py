"""A reward for what is seen, whatever is done."""

from __future__ import annotations

import torch

from robolearn.learning.finetuning.trajectories import Transitions
from robolearn.learning.rewards.adversarial import AdversarialReward
from robolearn.learning.rewards.config import RewardConfig
from robolearn.learning.rewards.discriminator import Discriminator
from robolearn.learning.rewards.features import SeenFeatures


class StateOnlyReward(AdversarialReward):
    """Imitation from observation (Torabi et al. 2018, "Generative Adversarial Imitation from
    Observation"): D sees (s, s'), so that the demonstrations' actions may be unknown, or those of
    another arm.

    Args:
        seen: of s and s'.
        config: of the reward.
    """

    def __init__(self, seen: SeenFeatures, config: RewardConfig) -> None:
        width = 2 * seen.width
        super().__init__(Discriminator(width + 1, config.discriminator), width, config)
        self._of_state = seen

    def inputs(self, transitions: Transitions) -> torch.Tensor:
        before = self._of_state(transitions.before.present)
        after = self._of_state(transitions.after.present)
        # The difference is small beside the states: seen by itself, it is not overlooked.
        return torch.cat([before, after - before], -1)

    def elsewhere(self, shown: torch.Tensor) -> torch.Tensor:
        """Other places, from which one goes on as the expert does: by steps as long as noise is
        wide they would be told too easily.
        """
        places = super().elsewhere(shown)[:, : self._of_state.width]
        return torch.cat([places, shown[:, self._of_state.width :]], -1)
