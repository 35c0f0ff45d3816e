"""What a person says of an episode, while it is recorded or afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Labels:
    """None leaves what is there.

    Attributes:
        success: the task was accomplished.
        task: in words.
        operator: the person in charge.
        notes: free text.
    """

    success: bool | None = None
    task: str | None = None
    operator: str | None = None
    notes: str | None = None

    @property
    def given(self) -> dict[str, Any]:
        """Those that are not None, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


NO_LABELS = Labels()
