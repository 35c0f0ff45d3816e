"""An SO-101 without hardware: servos that speak the real protocol, moved by physics."""
