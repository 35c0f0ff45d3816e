"""Looking at episodes and runs: Rerun recordings with their layout, and reports."""
