"""What can be driven."""
