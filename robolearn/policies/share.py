"""What a part of a batch counts for in the whole, where a batch is computed in parts."""

from __future__ import annotations

from typing import NamedTuple

import torch


class Share(NamedTuple):
    """How much more a part holds, of what losses are means over, than the parts do on average.

    Losses of parts, times these, have the loss of the whole batch as their mean: a part with much
    padding counts for less.

    Attributes:
        actions: of the chunks that are learnt, but for padding.
        frames: that are learnt from, likewise.
        transitions: from one of these frames to the next, likewise.
    """

    actions: torch.Tensor | float = 1.0
    frames: torch.Tensor | float = 1.0
    transitions: torch.Tensor | float = 1.0


WHOLE = Share()
"""Of a batch that is computed at once."""
