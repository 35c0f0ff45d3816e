"""Windows of frames for training, gathered from memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from robolearn.episodes.dataset import Dataset, Split
from robolearn.episodes.frames import Array
from robolearn.errors import DatasetError


@dataclass(frozen=True)
class Batch:
    """What a policy learns from.

    Attributes:
        observations: (B, K, ...) by feature name; frame K - 1 is the present.
        actions: (B, A) what was done at the present frame.
    """

    observations: dict[str, torch.Tensor]
    actions: torch.Tensor


class Windows:
    """Every frame of a dataset's split with the K - 1 frames before it.

    At the beginning of an episode, where there are fewer, the first frame is repeated.

    Args:
        dataset: to read; it is held in memory.
        inputs: names of the observation features.
        history: K, frames in a window.
        split: which side of the dataset.
        device: where the frames are held.

    Raises:
        DatasetError: the split is empty, an episode cannot be read, or a value is not finite.
    """

    def __init__(
        self,
        dataset: Dataset,
        inputs: Sequence[str],
        history: int,
        split: Split,
        device: torch.device | str = "cpu",
    ) -> None:
        indices = dataset.split(split)
        episodes = list(dataset.episodes(indices))
        if not episodes:
            raise DatasetError(
                f"{dataset.path} has no episodes in its split {split!r}; record more"
            )
        for index, episode in zip(indices, episodes, strict=True):
            for name in inputs:
                if episode.context.features.get(name) != episodes[0].context.features.get(name):
                    raise DatasetError(
                        f"{dataset.path}: episode {index} has another {name} than the first"
                    )
            for name in (*inputs, "action"):
                values = episode.actions if name == "action" else episode.observations[name]
                if not np.isfinite(values).all():
                    frame = int(np.argwhere(~np.isfinite(values))[0][0])
                    raise DatasetError(
                        f"{dataset.path}: episode {index}, {name}, frame {frame} is not finite"
                    )
        self.observations = {
            name: torch.from_numpy(
                np.concatenate([episode.observations[name] for episode in episodes])
            ).to(device)
            for name in inputs
        }
        self.actions = torch.from_numpy(
            np.concatenate([episode.actions for episode in episodes]).astype(np.float32)
        ).to(device)
        first, rows = 0, []
        for episode in episodes:
            rows.append(first + history_rows(len(episode), history))
            first += len(episode)
        self._rows = torch.from_numpy(np.concatenate(rows)).to(device)

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, frames: torch.Tensor) -> Batch:
        """The windows that end at these frames.

        Args:
            frames: (B,) positions from 0 to ``len(self) - 1``.
        """
        rows = self._rows[frames]
        return Batch(
            observations={name: values[rows] for name, values in self.observations.items()},
            actions=self.actions[frames],
        )

    def batches(self, size: int) -> Iterator[Batch]:
        """All windows once, in order, ``size`` at a time."""
        for frames in torch.arange(len(self), device=self._rows.device).split(size):
            yield self.batch(frames)


def history_rows(steps: int, history: int) -> Array:
    """Which frames of an episode a policy sees at each of its frames.

    Args:
        steps: T, frames of the episode.
        history: K.

    Returns:
        (T, K) positions in the episode; row t is t - K + 1 to t, and no less than 0.
    """
    return np.maximum(np.arange(steps)[:, None] + np.arange(1 - history, 1), 0)
