"""Memory in the state of a recurrent network."""

from __future__ import annotations

import torch
from torch import nn

from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.memory.sequence import SequenceMemory


class LSTMMemory(SequenceMemory):
    """An LSTM over the frames (Hochreiter and Schmidhuber 1997).

    Args:
        width: W, of the vector of each frame.
        actions: A, elements of an action.
        config: how far back it looks, and how.
    """

    def __init__(self, width: int, actions: int, config: MemoryConfig) -> None:
        super().__init__(width, actions, config)
        layers = len(config.hidden)
        self.width = config.hidden[0]
        self.cells = nn.LSTM(
            width + (actions + 1 if config.past_actions else 0),
            self.width,
            layers,
            batch_first=True,
            dropout=config.dropout if layers > 1 else 0.0,  # it has none behind its last layer
        )
        self.dropout = nn.Dropout(config.dropout)

    def outputs(self, sequence: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.dropout(self.cells(sequence)[0])
        return outputs
