"""Inference: a model by its name, and the proposer that runs it on photographs. PyTorch only inside functions."""
