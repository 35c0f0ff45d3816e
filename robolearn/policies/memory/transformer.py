"""Memory by attention."""

from __future__ import annotations

import torch
from torch import nn

from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.memory.sequence import SequenceMemory


class TransformerMemory(SequenceMemory):
    """A causal transformer over the frames (Vaswani et al. 2017).

    Normalisation stands before each sublayer (Xiong et al. 2020), and positions are learnt. They
    are counted from the first frame that is seen.

    Args:
        width: W, of the vector of each frame.
        actions: A, elements of an action.
        config: how far back it looks, and how.
    """

    _mask: torch.Tensor

    def __init__(self, width: int, actions: int, config: MemoryConfig) -> None:
        super().__init__(width, actions, config)
        self.width = config.hidden[0]
        self.embed = nn.Linear(width + (actions + 1 if config.past_actions else 0), self.width)
        self.positions = nn.Parameter(torch.empty(config.history, self.width))
        nn.init.normal_(self.positions, std=0.02)
        block = nn.TransformerEncoderLayer(
            self.width,
            config.heads,
            dim_feedforward=4 * self.width,
            dropout=config.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.blocks = nn.TransformerEncoder(
            block, len(config.hidden), norm=nn.LayerNorm(self.width), enable_nested_tensor=False
        )
        mask = nn.Transformer.generate_square_subsequent_mask(config.history)
        self.register_buffer("_mask", mask, persistent=False)

    def outputs(self, sequence: torch.Tensor) -> torch.Tensor:
        tokens = self.embed(sequence) + self.positions
        outputs: torch.Tensor = self.blocks(tokens, mask=self._mask, is_causal=True)
        return outputs
