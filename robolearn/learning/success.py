"""A success rate, and how sure one can be of it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from robolearn.errors import PolicyError
from robolearn.folders import write_file


def wilson_interval(successes: int, episodes: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a success rate (Wilson 1927, without continuity correction).

    Args:
        successes: of the episodes.
        episodes: at least 1.
        confidence: that the true rate lies inside.
    """
    from scipy.stats import binomtest  # takes a second to import

    interval = binomtest(successes, episodes).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True)
class Evaluation:
    """What the episodes said.

    Attributes:
        task: target that the policy was tried on.
        seeds: of the episodes.
        successes: for each seed, whether the task was accomplished at some step.
        held: for each seed, whether it still was at the last step.
        steps: of each episode.
    """

    task: str
    seeds: tuple[int, ...]
    successes: tuple[bool, ...]
    held: tuple[bool, ...]
    steps: tuple[int, ...]

    @property
    def rate(self) -> float:
        return sum(self.successes) / len(self.successes)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson interval of the rate at 95 %."""
        return wilson_interval(sum(self.successes), len(self.successes))

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"success {sum(self.successes)} of {len(self.successes)} episodes = {self.rate:.0%}, "
            f"95 % Wilson interval {low:.0%} to {high:.0%}; still held at the end: {sum(self.held)}"
        )

    def to_json(self) -> dict[str, object]:
        low, high = self.interval
        return dataclasses.asdict(self) | {
            "episodes": len(self.seeds),
            "success_rate": self.rate,
            "wilson_95": [low, high],
        }

    @classmethod
    def read(cls, path: Path) -> Evaluation:
        """What `write` wrote.

        Raises:
            PolicyError: the file is damaged.
        """
        try:
            return TypeAdapter(cls).validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise PolicyError(f"{path}: no readable evaluation; evaluate again") from error

    def write(self, path: Path) -> None:
        """Write as JSON; the file appears when it is complete."""
        write_file(path, json.dumps(self.to_json(), indent=2) + "\n")
