"""How values can be normalised. Imports no torch, so that ``--help`` is quick."""

from typing import Literal

type Scaling = Literal["standard", "range", "none"]
"""To zero mean and unit deviation, to [−1, 1], or not at all; see `Normalizer`."""
