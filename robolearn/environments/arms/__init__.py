"""Real arms: their profiles, the process that holds them, and the environment."""
