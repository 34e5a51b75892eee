"""PyTorch: runs .safetensors checkpoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from objectness.engines import Candidates, EngineSettings, ModelDescription, RankedBoxes
from objectness.engines.candidates import select
from objectness.engines.dense_geometry import REACH_KEY
from objectness.errors import InputError
from objectness.inference.torch_dense import TorchDense
from objectness.rpn.checkpoint import load_network
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.reach import reach_of


class TorchEngine:
    """A network in evaluation mode as a ``ProposalEngine``.

    Args:
        network: On the device where it runs.
        description: Of its file.
    """

    def __init__(self, network: RegionProposalNetwork, description: ModelDescription) -> None:
        self._network = network.eval()
        self.description = description
        self._device = next(network.parameters()).device
        self.device = str(self._device)
        self._dense: TorchDense | None = None

    def dense(self, threads: int | None = None) -> TorchDense:
        """The network for its maps; ``threads`` are those of this process's PyTorch. See ``ProposalEngine``."""
        if threads is not None:
            torch.set_num_threads(threads)
        if self._dense is None:
            details = {**self.description.details, REACH_KEY: reach_of(self._network)}  # of no checkpoint's file
            self._dense = TorchDense(self._network, replace(self.description, details=details))
        return self._dense

    def propose(
        self, pixels: NDArray[np.uint8], *, nms: float, top: int, smallest_hw: tuple[float, float] = (0.0, 0.0)
    ) -> RankedBoxes:
        """The best ``top`` boxes of a resized RGB image ``uint8 (H, W, 3)``; see ``ProposalEngine``."""
        size_hw = (pixels.shape[0], pixels.shape[1])
        return select(self.candidates(pixels), size_hw, nms=nms, top=top, smallest_hw=smallest_hw)

    @torch.no_grad()
    def candidates(self, pixels: NDArray[np.uint8]) -> Candidates:
        """Candidate boxes of a resized RGB image ``uint8 (H, W, 3)``.

        Raises:
            InputError: PyTorch fails on it, e.g. for want of memory.
        """
        try:
            return self._candidates(pixels)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            size = f"{pixels.shape[1]} x {pixels.shape[0]}"
            raise InputError(f"the network cannot look at it in {size} pixels ({reason}).") from None

    def _candidates(self, pixels: NDArray[np.uint8]) -> Candidates:
        batch = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].to(self._device)
        outputs = self._network(batch)
        levels = self._network.anchors(outputs.maps_hw, self._device)
        size_hw = (pixels.shape[0], pixels.shape[1])
        found = self._network.candidates(outputs, levels, 0, size_hw, self._network.settings.select)
        return Candidates(found.boxes_xyxy.cpu().numpy(), found.scores.cpu().numpy(), found.levels.cpu().numpy())


def describe_network(network: RegionProposalNetwork, details: dict[str, Any]) -> ModelDescription:
    """The description of a network, from its settings and a checkpoint's details."""
    settings = network.settings
    return ModelDescription(
        name=str(details.get("name", settings.backbone.name)),
        short_side=settings.images.short_side,
        long_side=settings.images.long_side,
        nms_iou=settings.select.nms_iou,
        top=settings.select.post_nms_top_n,
        details={key: value for key, value in details.items() if key != "name"},
    )


def open_checkpoint(path: Path, settings: EngineSettings) -> TorchEngine:
    """Open a checkpoint that ``objectness train`` wrote.

    Args:
        path: The checkpoint.
        settings: Device as PyTorch calls it ("cpu", "cuda", "cuda:1", "mps"); threads of this process's PyTorch, None
            leaves them as they are.

    Raises:
        InputError: missing, broken, not ours, or a device that is not there.
    """
    network, details = load_network(path)
    move_to(network, settings.device)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    return TorchEngine(network, describe_network(network, details))


def move_to(network: nn.Module, device: str) -> None:
    """Move a network to a device, as PyTorch calls it; raises InputError where that is not there."""
    if device.partition(":")[0] == "meta":  # a device of PyTorch's that computes nothing
        raise InputError(f"Device {device!r} cannot be used here (it holds no numbers); take cpu.")
    try:
        network.to(device)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise InputError(f"Device {device!r} cannot be used here ({str(error).splitlines()[0]}); take cpu.") from None
