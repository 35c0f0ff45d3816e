"""What improves a policy by a reward: policy gradients and an actor with a critic."""
