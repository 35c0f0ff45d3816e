"""The loop that everything on a robot runs through."""
