"""Fine-tuning: a policy practises in the simulator, and demonstrations say what is good."""
