"""Networks that see: from the observations of each frame to one vector a frame."""
