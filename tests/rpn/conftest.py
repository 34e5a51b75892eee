"""Setup of the network's tests. Shapes in signatures are checked: see ``tests/conftest.py``."""

import torch

# Everything here is small: threads would spend their time waiting for one another, above all on a busy machine.
torch.set_num_threads(1)
