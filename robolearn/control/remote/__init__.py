"""A policy on one machine, the arm on another."""
