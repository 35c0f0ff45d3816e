"""Memory by attention."""

from __future__ import annotations

import torch
from torch import nn

from robolearn.policies.memory.config import MemoryConfig
from robolearn.policies.memory.memory import Memory
from robolearn.policies.memory.sequence import last_output, with_actions


class TransformerMemory(Memory):
    """A causal transformer over the frames (Vaswani et al. 2017); the output at the present one.

    Normalisation stands before each sublayer (Xiong et al. 2020), and positions are learnt. They
    are counted back from the present frame.

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

    def remember(
        self,
        frames: torch.Tensor,
        past: torch.Tensor | None,
        frame_is_pad: torch.Tensor | None,
    ) -> torch.Tensor:
        tokens = self.embed(with_actions(frames, past)) + self.positions
        return last_output(self._outputs, tokens, frame_is_pad)

    def _outputs(self, tokens: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.blocks(tokens, mask=self._mask, is_causal=True)
        return outputs
