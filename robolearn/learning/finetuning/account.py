"""What a practice came to, from its metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

_PARTS = {
    "physics": ("seconds/physics", "seconds/trials_physics"),
    "learning": ("seconds/reward", "seconds/policy"),
}

type Measure = Literal["success", "return"]
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
    measure: Measure

    @classmethod
    def of(cls, rows: Rows) -> Kept | None:
        """None where nothing was tried, or it is not known which trial was kept."""
        tried = [row for row in rows if "valid/best" in row]
        kept = [row for row in tried if row.get("valid/kept")]
        if not kept:
            return None
        return cls(
            int(kept[-1]["step"]),
            tried[-1]["valid/best"],
            tried[0]["valid/best"],
            measure_of(tried[0]),
        )

    def __str__(self) -> str:
        score, first = (as_text(each, self.measure) for each in (self.score, self.first))
        if self.step == 0:
            return (
                f"no trial was better than that of the policy as it was ({self.measure} {first}), "
                "which is kept"
            )
        return (
            f"the average after {self.step} steps is kept: {self.measure} {score} in its trial, "
            f"{first} before practice"
        )


def measure_of(figures: Mapping[str, float]) -> Measure:
    """What practice is measured by where these figures come from."""
    return "success" if {"valid/success", "practice/success"} & figures.keys() else "return"


def as_text(score: float, measure: Measure) -> str:
    """A share as a percentage, a return as a number."""
    return f"{score:.0%}" if measure == "success" else f"{score:.3g}"


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
