"""What a check gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

type Status = Literal["ok", "warning", "missing", "error"]


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        name: of what was looked at.
        status: ``ok``; ``warning``: it works, and somebody should look at it; ``missing``: it is
            not there, which matters to those who need it; ``error``: it is there and does not work,
            or nothing works without it.
        found: what there is.
        advice: what to do, empty where there is nothing to do.
    """

    name: str
    status: Status
    found: str
    advice: str = ""

    def to_json(self) -> dict[str, Any]:
        """All of it, for machines."""
        return asdict(self)


type Check = Callable[[], Iterable[Finding]]
"""Looks at one thing. What it raises is reported as an error of this check."""
