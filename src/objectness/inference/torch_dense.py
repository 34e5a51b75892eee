"""PyTorch: the maps of a network, for images that are computed in tiles."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from objectness.engines import ModelDescription
from objectness.engines.dense import Maps
from objectness.engines.dense_geometry import maps_of_settings
from objectness.errors import InputError
from objectness.rpn.extensions.localization_quality import ranking_scores
from objectness.rpn.extensions.refinement_head import SCORE_EPS
from objectness.rpn.network import RegionProposalNetwork

Floats = NDArray[np.float32]


class TorchDense:
    """A network in evaluation mode as a ``DenseEngine``.

    Args:
        network: On the device where it runs.
        description: Of its file.
    """

    def __init__(self, network: RegionProposalNetwork, description: ModelDescription) -> None:
        self._network = network.eval()
        self._device = next(network.parameters()).device
        self.description = description
        self._meaning = maps_of_settings(network.settings, description, description.name)
        self.geometry = self._meaning.geometry

    @torch.no_grad()
    def maps(self, pixels: NDArray[np.uint8]) -> Maps:
        """The maps of a window ``uint8 (H, W, 3)``; see ``DenseEngine``."""
        network = self._network
        try:
            outputs = network(torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].to(self._device))
            anchors = network.anchors(outputs.maps_hw)
        except RuntimeError as error:
            reason, size = str(error).splitlines()[0], f"{pixels.shape[1]} x {pixels.shape[0]}"
            raise InputError(f"the network cannot look at it in {size} pixels ({reason}).") from None
        quality = [None] * len(anchors) if outputs.quality is None else [level[0] for level in outputs.quality]
        shapes = [(*map_hw, self._meaning.per_cell) for map_hw in outputs.maps_hw]
        scores = [
            ranking_scores(level[0], fit, network.settings.localization_quality).cpu().numpy().reshape(shape)
            for level, fit, shape in zip(outputs.logits, quality, shapes, strict=True)
        ]
        deltas = [
            level[0].float().cpu().numpy().reshape(*shape, 4)
            for level, shape in zip(outputs.deltas, shapes, strict=True)
        ]
        places = [level.numpy().reshape(*shape, 4) for level, shape in zip(anchors, shapes, strict=True)]
        maps = (outputs.refinement_maps or [])[: self._meaning.read_levels]
        return Maps(scores, deltas, places, [level[0].float().cpu().numpy() for level in maps])

    def rest(self) -> None:
        """Nothing: PyTorch keeps no memory on a processor."""

    @torch.no_grad()
    def refine(self, features: Floats, scores: Floats) -> tuple[Floats, Floats]:
        """Deltas ``(R, 4)`` and corrected scores ``(R,)`` of boxes; see ``DenseEngine``."""
        head = self._network.refinement
        if head is None:
            raise ValueError("This network has no refinement head.")
        given = torch.from_numpy(features).to(self._device)
        logits = torch.logit(torch.from_numpy(scores).to(self._device), eps=SCORE_EPS)
        deltas, logits = head.correct_by(given, logits)
        corrected = torch.where(torch.isfinite(logits), torch.sigmoid(logits), torch.nan)
        return deltas.cpu().numpy(), corrected.cpu().numpy()
