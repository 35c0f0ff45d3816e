"""Which seeds are whose."""

FIRST_EVALUATION_SEED = 1_000_000
"""`record` takes seeds below this one, `evaluate` this one and those above, so that no policy is
tried on an episode that it was shown."""

FIRST_TRIAL_SEED = 2_000_000_000
"""Of what is tried while training, where one may look as often as one likes."""

FIRST_PRACTICE_SEED = 3_000_000_000
"""Of the episodes in which a policy practises; each run has `PRACTICE_SEEDS` of its own, and the
seeds end below 2³², which NumPy's generator takes."""

PRACTICE_SEEDS = 10_000_000
