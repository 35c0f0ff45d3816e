"""Demonstrations as a reward is learnt from them."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from robolearn.episodes.dataset import Dataset, Split
from robolearn.episodes.episode import Episode
from robolearn.errors import DatasetError
from robolearn.learning.finetuning.trajectories import Trajectories, Trajectory


def observed(episode: Episode, names: Iterable[str]) -> dict[str, torch.Tensor]:
    """(T, ...) what was seen in an episode, vectors and images alike, by feature name."""
    recorded = {**episode.observations, **episode.images}
    return {name: torch.as_tensor(recorded[name][:]) for name in names}


def add_demonstrations(dataset: Dataset, split: Split, to: Trajectories, names: list[str]) -> None:
    """Add the episodes of a split.

    A recorded episode ends with its last action, and what was seen after that is not in it: so its
    last action is left out. Where the task was over then, the absorbing state follows what was seen
    last.

    Raises:
        DatasetError: a value is not finite; names the episode.
    """
    indices = dataset.split(split)
    for index, episode in zip(indices, dataset.episodes(indices), strict=True):
        seen = observed(episode, names)
        actions = torch.from_numpy(episode.actions[:-1])
        for name, values in {**seen, "action": actions}.items():
            if not values.isfinite().all():
                number = dataset.summaries[index].number
                raise DatasetError(f"{dataset.path}: episode {number}: {name} is not finite")
        to.add(
            Trajectory(
                seen,
                actions,
                actions,
                terminated=episode.outcome.ended == "terminated",
            )
        )
