"""Where training runs: the CPU, a GPU, or several processes that train together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from robolearn.learning.config import CloningConfig

if TYPE_CHECKING:
    from accelerate import Accelerator

_PRECISION = {"float32": "no", "bfloat16": "bf16"}


def make_accelerator(config: CloningConfig) -> Accelerator:
    """What is there to train with: accelerators if there are any, and all processes started."""
    import torch
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    # It remembers the precision of the training before, in this process.
    AcceleratorState._reset_state()
    return Accelerator(
        # Unless told that it is the CPU's, it leaves each of several processes to train alone.
        cpu=not torch.accelerator.is_available(),
        mixed_precision=_PRECISION[config.precision],
        gradient_accumulation_steps=config.accumulate,
    )


def is_first_process() -> bool:
    """Whether this one of the processes that train together is to write files."""
    return os.environ.get("RANK", "0") == "0"
