"""The checkpoints of a run: the best weights, the last ones, and the state that it goes on from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from objectness.rpn.checkpoint import save_network
from objectness.rpn.network import RegionProposalNetwork
from objectness.training.state import Progress, load_state, save_state

BEST_FILE = "best.safetensors"
LAST_FILE = "last.safetensors"
STATE_FILE = "last.state.safetensors"


class Checkpoints:
    """Files of a run in its folder, each written atomically.

    Args:
        folder: Where they go.
        network: The network that is trained.
        average: Moving average of its weights, which is what is kept; empty without one.
        optimizer: Goes into the state.
        details: Go into the checkpoints.
    """

    def __init__(
        self,
        folder: Path,
        network: RegionProposalNetwork,
        average: dict[str, Tensor],
        optimizer: torch.optim.Optimizer,
        details: Mapping[str, Any],
    ) -> None:
        self._folder = folder
        self._network = network
        self._average = average
        self._optimiser = optimizer
        self._details = dict(details)
        self._saved_at: int | None = None

    def load(self) -> Progress:
        """Fill network, average and optimizer from the saved state, and say where the run was; raises as it does."""
        progress = load_state(self._folder / STATE_FILE, self._network, self._average, self._optimiser)
        self._saved_at = progress.step
        return progress

    def save_last(self, progress: Progress) -> None:
        """The last weights and the state; before anything was measured the last weights are the best."""
        details = self._details | {"epoch": progress.epoch}
        # The state comes last: where it stands, the rest of what a resumed run reads stands too.
        for name in (LAST_FILE,) if progress.best >= 0 else (LAST_FILE, BEST_FILE):
            save_network(self._folder / name, self._network, details, self._average or None)
        save_state(self._folder / STATE_FILE, self._network, self._average, self._optimiser, progress)
        self._saved_at = progress.step

    def save_best(self, measured: RegionProposalNetwork, epoch: int, validation: dict[str, Any]) -> None:
        """The weights that were just measured, with what was found."""
        details = self._details | {"epoch": epoch, "validation": validation}
        save_network(self._folder / BEST_FILE, measured, details)

    def kept(self) -> str:
        """The end of a sentence about a run that cannot go on: which weights there are."""
        if self._saved_at is None:
            return "nothing had been saved yet"
        return f"{self._folder / LAST_FILE} holds the weights after update {self._saved_at}"
