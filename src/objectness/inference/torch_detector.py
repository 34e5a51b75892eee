"""PyTorch: runs the .safetensors checkpoints of detectors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from objectness.detector.checkpoint import load_detector
from objectness.detector.network import FasterRCNN
from objectness.engines.detection import DetectorDescription, NamedBoxes
from objectness.engines.settings import EngineSettings
from objectness.errors import InputError
from objectness.inference.torch_engine import move_to


class TorchDetector:
    """A Faster R-CNN in evaluation mode as a ``DetectionEngine``.

    Args:
        network: On the device where it runs.
        details: Of its file.
    """

    def __init__(self, network: FasterRCNN, details: Mapping[str, Any]) -> None:
        self._network = network.eval()
        images = network.rpn.settings.images
        self.description = DetectorDescription(
            name=str(details.get("name", network.rpn.settings.backbone.name)),
            short_side=images.short_side,
            long_side=images.long_side,
            class_names=network.class_names,
            proposes=not network.foreign_proposals,
            details={key: value for key, value in details.items() if key != "name"},
        )
        self._device = next(network.parameters()).device
        self.device = str(self._device)

    @torch.no_grad()
    def detect(self, pixels: NDArray[np.uint8], proposals_xyxy: NDArray[np.float32] | None = None) -> NamedBoxes:
        """Detections on a resized RGB image ``uint8 (H, W, 3)``; see ``DetectionEngine``."""
        batch = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].to(self._device)
        proposals = None if proposals_xyxy is None else [torch.from_numpy(proposals_xyxy).to(self._device)]
        try:
            (found,) = self._network.detect(self._network(batch), [(pixels.shape[0], pixels.shape[1])], proposals)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            size = f"{pixels.shape[1]} x {pixels.shape[0]}"
            raise InputError(f"the network cannot look at it in {size} pixels ({reason}).") from None
        return NamedBoxes(found.boxes_xyxy.cpu().numpy(), found.scores.cpu().numpy(), found.class_ids.cpu().numpy())


def open_detector(path: Path, settings: EngineSettings) -> TorchDetector:
    """Open a detector's checkpoint that ``objectness train`` wrote.

    Args:
        path: The checkpoint.
        settings: Device as PyTorch calls it, and threads of this process's PyTorch; None leaves them as they are.

    Raises:
        InputError: missing, broken, no detector of ours, or a device that is not there.
    """
    network, details = load_detector(path)
    move_to(network, settings.device)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    return TorchDetector(network, details)
