"""Which seeds are whose."""

FIRST_EVALUATION_SEED = 1_000_000
"""`record` takes seeds below this one, `evaluate` this one and those above, so that no policy is
tried on an episode that it was shown."""
