"""What the time of a practice went into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_PARTS = {
    "physics": ("seconds/physics", "seconds/trials_physics"),
    "learning": ("seconds/reward", "seconds/policy"),
}


def time_shares(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Shares of the time as it passed, from the metrics of a practice.

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
