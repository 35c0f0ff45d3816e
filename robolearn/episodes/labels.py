"""What a person says of an episode, while it is recorded or afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Labels:
    """None leaves what is there. What is no text in any encoding becomes question marks.

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

    def __post_init__(self) -> None:
        for name in ("task", "operator", "notes"):
            text = getattr(self, name)
            if isinstance(text, str):
                object.__setattr__(self, name, valid_text(text))

    @property
    def given(self) -> dict[str, Any]:
        """Those that are not None, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


def valid_text(text: str) -> str:
    """Text with question marks where UTF-8 has no place for what it holds.

    That is what a command line or a JSON file in another encoding leaves: half of a surrogate pair.
    """
    return text.encode("utf-8", "replace").decode()


NO_LABELS = Labels()
