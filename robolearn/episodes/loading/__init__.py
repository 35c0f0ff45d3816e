"""Windows of frames, served to training."""
