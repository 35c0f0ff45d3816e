"""What can drive: scripted experts and policies."""
