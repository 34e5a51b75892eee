"""The Region Proposal Network (Ren et al. 2015, arXiv 1506.01497). Needs PyTorch, except ``settings``."""
