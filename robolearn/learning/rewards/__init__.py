"""Rewards that are learnt from demonstrations: GAIL and its family."""
