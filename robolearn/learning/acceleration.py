"""Where training runs: the CPU, a GPU, or several processes that train together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from robolearn.learning.config import CloningConfig

if TYPE_CHECKING:
    from accelerate import Accelerator

_PRECISION = {"float32": "no", "bfloat16": "bf16"}


def make_accelerator(config: CloningConfig) -> Accelerator:
    """What `accelerate` finds to train with: as ``accelerate launch`` says, else what is there."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    # It remembers the precision of the training before, in this process.
    AcceleratorState._reset_state()
    return Accelerator(
        mixed_precision=_PRECISION[config.precision], gradient_accumulation_steps=config.accumulate
    )


def is_first_process() -> bool:
    """Whether this one of the processes that ``accelerate launch`` started is to write files."""
    return os.environ.get("RANK", "0") == "0"
