"""Demonstrations as a reward is learnt from them."""

from __future__ import annotations

import torch

from robolearn.episodes.dataset import Dataset, Split
from robolearn.learning.finetuning.trajectories import Trajectories, Trajectory


def add_demonstrations(dataset: Dataset, split: Split, to: Trajectories, names: list[str]) -> None:
    """Add the episodes of a split.

    A recorded episode ends with its last action, and what was seen after that is not in it: so its
    last action is left out. Where the task was over then, the absorbing state follows what was seen
    last.
    """
    for episode in dataset.episodes(dataset.split(split)):
        actions = torch.from_numpy(episode.actions[:-1])
        to.add(
            Trajectory(
                {name: torch.from_numpy(episode.observations[name]) for name in names},
                actions,
                actions,
                terminated=episode.outcome.ended == "terminated",
            )
        )
