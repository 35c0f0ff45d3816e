"""robolearn: a robot arm goes from demonstrations to a working policy."""

__version__ = "0.1.0"
