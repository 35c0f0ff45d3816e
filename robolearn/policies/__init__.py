"""Networks that decide: from a history of observations to a distribution over actions."""
