"""Networks that remember: from the frames of a history, and what was done, to one vector."""
