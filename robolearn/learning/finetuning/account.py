"""What a practice came to, from its metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

_PARTS = {
    "physics": ("seconds/physics", "seconds/trials_physics"),
    "learning": ("seconds/reward", "seconds/policy"),
}

type Rows = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Kept:
    """The weights that were kept, and what is known of them.

    Attributes:
        step: control steps of practice before the trial that they did best in; 0 for the policy
            that practice began from.
        score: of that trial.
        first: score of the first trial, of the policy that practice began from.
        measure: what the scores are, shares of episodes that succeed or mean returns.
    """

    step: int
    score: float
    first: float
    measure: Literal["success", "return"]

    @classmethod
    def of(cls, rows: Rows) -> Kept | None:
        """None where nothing was tried."""
        tried = [row for row in rows if "valid/best" in row]
        if not tried:
            return None
        step = max((int(row["step"]) for row in tried if row.get("valid/kept")), default=0)
        measure: Literal["success", "return"] = (
            "success" if "valid/success" in tried[0] else "return"
        )
        return cls(step, tried[-1]["valid/best"], tried[0]["valid/best"], measure)

    def __str__(self) -> str:
        def text(score: float) -> str:
            return f"{score:.0%}" if self.measure == "success" else f"{score:.3g}"

        if self.step == 0:
            return (
                f"no trial was better than that of the policy as it was ({self.measure} "
                f"{text(self.first)}), which is kept"
            )
        return (
            f"the average after {self.step} steps is kept: {self.measure} {text(self.score)} in "
            f"its trial, {text(self.first)} before practice"
        )


def time_shares(rows: Rows) -> dict[str, float]:
    """Shares of the time as it passed.

    Returns:
        ``physics``: environments were stepped or reset, in practice and in trials; ``learning`` of
        reward and policy. Off-policy, both go on at once, and their sum may be more than 1. Empty
        where no time was kept.
    """
    whole = sum(row.get("seconds/all", 0.0) for row in rows)
    if whole <= 0:
        return {}
    return {
        part: sum(row.get(name, 0.0) for row in rows for name in names) / whole
        for part, names in _PARTS.items()
    }
