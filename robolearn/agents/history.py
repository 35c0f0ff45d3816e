"""The last rows of a sequence as one block of memory."""

from __future__ import annotations

import torch


class History:
    """Keeps the last N rows in the form (1, N, D), without moving what is kept.

    Each row is written at two places, N apart, so that the last N always lie side by side.

    Args:
        length: N, 1 or more.
        width: D.
        device: where it is kept.
    """

    def __init__(self, length: int, width: int, device: torch.device | str = "cpu") -> None:
        self._length = length
        self._rows = torch.zeros(1, 2 * length, width, device=device)
        # Views made once: to take one costs as much as to compute with it.
        self._places = [self._rows[:, first::length] for first in range(length)]
        self._blocks = [self._rows[:, first : first + length] for first in range(length)]
        lacking = torch.arange(length, 0, -1)[:, None]
        self._is_pad = (torch.arange(length) < lacking).to(device)
        self.clear()

    def clear(self) -> None:
        """Forget everything: the block is zeros."""
        self._rows.zero_()
        self._first = 0
        self._count = 0

    def append(self, row: torch.Tensor) -> None:
        """Add a row, (1, 1, D); the oldest is forgotten."""
        self._places[self._first].copy_(row)
        self._first = (self._first + 1) % self._length
        self._count += 1

    def fill(self, row: torch.Tensor) -> None:
        """Let all rows be like this one, (1, 1, D); none counts as added."""
        self._rows.copy_(row)

    @property
    def block(self) -> torch.Tensor:
        """(1, N, D), the oldest first: a view, to be used before the next row."""
        return self._blocks[self._first]

    @property
    def is_pad(self) -> torch.Tensor | None:
        """(1, N) bool, the row was never added; None where all were."""
        if self._count >= self._length:
            return None
        return self._is_pad[self._count : self._count + 1]
