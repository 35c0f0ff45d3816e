"""What this machine can do: one small check for each thing that may be missing."""
