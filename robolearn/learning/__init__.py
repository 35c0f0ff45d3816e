"""What turns demonstrations into a policy, and says how good it is."""
