"""Training a Region Proposal Network: recipes, the loop, checkpoints. Needs PyTorch."""
