"""A success rate or a return, and how sure one can be of it."""

from __future__ import annotations

import dataclasses
import json
import statistics
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from robolearn.errors import PolicyError
from robolearn.folders import write_file


def _mean(values: tuple[float, ...]) -> str:
    """The mean and its standard error, s/√n."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:.4g}"
    return f"{mean:.4g} ± {statistics.stdev(values) / len(values) ** 0.5:.2g}"


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
        successes: for each seed, whether the task was accomplished at some step; empty where the
            environment does not tell.
        held: for each seed, whether it still was at the last step.
        steps: of each episode.
        returns: for each seed, the sum of the rewards; empty in evaluations before they were kept.
        greatest_rewards: for each seed, the greatest reward of a step, which PushT is judged by.
        broken_down: for each seed, whether the simulation became unstable; such an episode counts
            as failed.
        actions: which of the possible ones the policy carried out, see `PolicyAgent`.
    """

    task: str
    seeds: tuple[int, ...]
    successes: tuple[bool, ...]
    held: tuple[bool, ...]
    steps: tuple[int, ...]
    returns: tuple[float, ...] = ()
    greatest_rewards: tuple[float, ...] = ()
    broken_down: tuple[bool, ...] = ()
    actions: str = "auto"

    @property
    def rate(self) -> float:
        return sum(self.successes) / len(self.successes)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson interval of the rate at 95 %."""
        return wilson_interval(sum(self.successes), len(self.successes))

    @property
    def rewards_say_more(self) -> bool:
        """Whether the rewards are more than a mark of success."""
        return bool(self.returns) and (
            not self.successes or not set(self.greatest_rewards) <= {0.0, 1.0}
        )

    @property
    def rewards_text(self) -> str:
        """What came of the rewards, in words."""
        text = f"return {_mean(self.returns)}"
        greatest = self.greatest_rewards
        return text if len(set(greatest)) == 1 else f"{text}, greatest reward {_mean(greatest)}"

    def __str__(self) -> str:
        parts = []
        if self.successes:
            low, high = self.interval
            parts.append(
                f"success {sum(self.successes)} of {len(self.successes)} episodes "
                f"= {self.rate:.0%}, 95 % Wilson interval {low:.0%} to {high:.0%}"
            )
            parts.append(f"still held at the end: {sum(self.held)}")
        if self.rewards_say_more:
            parts.append(f"{self.rewards_text} over {len(self.returns)} episodes")
        if any(self.broken_down):
            parts.append(f"the simulation became unstable in {sum(self.broken_down)}")
        return "; ".join(parts)

    def to_json(self) -> dict[str, object]:
        success = {"success_rate": self.rate, "wilson_95": self.interval} if self.successes else {}
        return dataclasses.asdict(self) | {"episodes": len(self.seeds)} | success

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
