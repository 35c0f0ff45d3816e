"""In which order windows are drawn: by epochs, weighted, shared between ranks, resumable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from robolearn.episodes.frames import Array
from robolearn.errors import ConfigurationError, TrainingError

_MOST_EPOCHS = 1000
"""In one batch: the order of each costs some time, however few windows it has."""


class WindowOrder:
    """An endless order of windows, cut into batches of one size.

    Epochs follow each other without a gap, and a batch may hold the end of one and the beginning of
    the next: so all batches are full, all ranks have as many, and no window is left out. Each epoch
    draws as many windows as there are. Without weights, that is each of them once. With weights, a
    window is drawn the weight of its episode over the mean weight times, rounded up or down by
    chance (systematic sampling, Madow 1949). The order of an epoch follows from the seed and its
    number alone, so that all that changes is how many windows have been drawn.

    Args:
        lengths: windows of each episode.
        batch: B, windows of a batch on one rank.
        seed: of the order.
        weights: how many times as often each window of an episode is drawn, for each episode; None
            draws all alike.
        rank: this process among those that train together; each has its share of every draw.
        world_size: how many there are.

    Attributes:
        windows: N, of all episodes.

    Raises:
        ConfigurationError: there are no windows, a batch of all ranks is more than a thousand
            epochs of them, the weights are no finite numbers from 0 on with one above it, not one
            an episode, the seed is negative, or the rank is not below the world size.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch: int,
        seed: int,
        weights: Sequence[float] | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.windows = sum(lengths)
        if self.windows < 1:
            raise ConfigurationError("there are no windows to draw from")
        if batch < 1:
            raise ConfigurationError(f"a batch has 1 window or more, not {batch}")
        if seed < 0:
            raise ConfigurationError(f"a seed is 0 or more, not {seed}")
        if not 0 <= rank < world_size:
            raise ConfigurationError(
                f"rank {rank} of {world_size}: ranks are counted from 0 to world_size - 1"
            )
        if batch * world_size > _MOST_EPOCHS * self.windows:
            raise ConfigurationError(
                f"a batch of {batch} windows on each of {world_size} ranks is more than "
                f"{_MOST_EPOCHS} epochs of {self.windows} windows; make it smaller"
            )
        self._seed = seed
        self._batch = batch
        self._rank = rank
        self._world_size = world_size
        self._shares = None if weights is None else _shares(lengths, weights)
        self._epochs: dict[int, Array] = {}
        self.drawn = 0
        """Windows drawn so far by all ranks together."""

    @property
    def epoch(self) -> float:
        """How many times as many windows as there are have been drawn."""
        return self.drawn / self.windows

    @property
    def step(self) -> int:
        """Windows that all ranks together draw for one batch each."""
        return self._batch * self._world_size

    def __iter__(self) -> Iterator[torch.Tensor]:
        return self

    def __next__(self) -> torch.Tensor:
        """(B,) int64 positions of this rank's next windows."""
        frames = self.after(self.drawn)
        self.drawn += self.step
        return frames

    def after(self, drawn: int) -> torch.Tensor:
        """(B,) the windows that follow when so many have been drawn. Draws nothing."""
        position, stop = drawn + self._rank, drawn + self.step
        parts = []
        while position < stop:
            epoch, place = divmod(position, self.windows)
            part = self._order(epoch)[place : place + stop - position : self._world_size]
            parts.append(part)
            position += len(part) * self._world_size
        return torch.from_numpy(np.concatenate(parts))

    def state_dict(self) -> dict[str, int]:
        """What `load_state_dict` needs to go on: plain numbers, the same on all ranks."""
        return {"drawn": self.drawn, "seed": self._seed, "windows": self.windows}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from a `state_dict`, with another batch or world size, too.

        Raises:
            TrainingError: it is of another seed or of other windows, or is none.
        """
        known: Any = state  # it comes from a file
        if not isinstance(known, Mapping):
            raise TrainingError(f"the order to go on with is {known!r:.40}, no state of an order")
        for name, mine in (("seed", self._seed), ("windows", self.windows)):
            if known.get(name) != mine:
                raise TrainingError(
                    f"the order to go on with has {name} = {known.get(name)!r:.40}, not {mine}: it "
                    "is of another training or dataset"
                )
        drawn = known.get("drawn")
        if not isinstance(drawn, int) or drawn < 0:
            raise TrainingError("the order to go on with does not say how many windows were drawn")
        self.drawn = drawn

    def _order(self, epoch: int) -> Array:
        """(N,) positions of the windows in the order of an epoch."""
        order = self._epochs.get(epoch)
        if order is None:
            random = np.random.default_rng([self._seed, epoch])
            if self._shares is None:
                order = random.permutation(self.windows)
            else:
                points = np.arange(self.windows) + random.random()
                np.minimum(points, np.nextafter(self.windows, 0), out=points)  # rounded up to N
                order = np.searchsorted(self._shares, points, side="right")
                random.shuffle(order)
            # A batch may hold the end of one epoch and the beginning of the next: two are kept.
            kept = {near: known for near, known in self._epochs.items() if abs(near - epoch) == 1}
            self._epochs = {**kept, epoch: order}
        return order


def _shares(lengths: Sequence[int], weights: Sequence[float]) -> Array:
    """(N,) running sum of how often each window is drawn in an epoch; the last is N.

    Raises:
        ConfigurationError: the weights cannot be used.
    """
    if len(weights) != len(lengths):
        raise ConfigurationError(f"there are {len(weights)} weights for {len(lengths)} episodes")
    each = np.asarray(weights, np.float64)
    for episode, weight in enumerate(each):
        if not (np.isfinite(weight) and weight >= 0):
            raise ConfigurationError(
                f"the weight of episode {episode} is {weight}; weights are finite and not negative"
            )
    # Divided first: a sum of weights near the largest float would be infinite.
    running: Array = np.cumsum(np.repeat(each / (each.max() or 1), lengths))
    if running[-1] <= 0:
        raise ConfigurationError("all weights are 0: nothing would be drawn")
    shares: Array = running / running[-1] * len(running)
    return shares
