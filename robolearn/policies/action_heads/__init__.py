"""From what was seen to a distribution over the actions to come: one head a file."""
