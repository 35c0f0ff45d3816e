"""The mean of what chunks of different age say of the present."""

from __future__ import annotations

from collections import deque

import numpy as np

from robolearn.episodes.frames import Array


class TemporalEnsemble:
    """Σ_i w_i a_i / Σ_i w_i with w_i = exp(−m i) over the chunks that reach to the present.

    i counts from the oldest, 0 (Zhao et al. 2023, "Learning Fine-Grained Bimanual Manipulation with
    Low-Cost Hardware", section IV.A).

    Args:
        horizon: H, steps of a chunk.
        decay: m; the smaller, the sooner new observations count.
    """

    def __init__(self, horizon: int, decay: float) -> None:
        self._chunks: deque[Array] = deque(maxlen=horizon)
        self._weights = np.exp(-decay * np.arange(horizon))

    def clear(self) -> None:
        """Forget all chunks."""
        self._chunks.clear()

    def add(self, chunk: Array) -> Array:
        """The mean for the present step.

        Args:
            chunk: (H, D) that begins at the present step; called once a step.

        Returns:
            (D,).
        """
        self._chunks.append(chunk)
        count = len(self._chunks)
        said = np.stack([chunk[count - 1 - i] for i, chunk in enumerate(self._chunks)])
        weights = self._weights[:count]
        mean: Array = (weights / weights.sum()) @ said
        return mean
