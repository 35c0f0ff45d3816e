"""Arms that LeRobot has no driver of: each module registers one, in LeRobot's way."""
