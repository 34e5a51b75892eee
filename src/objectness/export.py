"""A checkpoint to one ONNX graph that needs no PyTorch: pixels in, candidate boxes out, its description inside.

The graph holds normalisation, backbone, head, anchors, decoding, clipping and top-k, for any image size;
non-maximum suppression stays outside so that its threshold can be chosen by the user. N candidates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from objectness.engines import METADATA_KEY, Candidates, OnnxEngine
from objectness.errors import InputError
from objectness.rpn.checkpoint import load_network
from objectness.rpn.engine import TorchEngine, describe_network
from objectness.rpn.network import RegionProposalNetwork
from objectness.rpn.settings import RPNSettings
from objectness.settings import to_dict

_CHECKED_SIZES_HW = ((224, 320), (361, 257))
_TOLERANCE_PIXELS = 0.5
_TOLERANCE_SCORE = 1e-3
_OPSET = 18


@dataclass(frozen=True)
class Agreement:
    """How far ONNX Runtime is from PyTorch on one image: largest differences over the candidates both give."""

    size_hw: tuple[int, int]
    candidates: int
    pixels: float
    score: float


class CandidateGraph(nn.Module):
    """What is exported: RGB ``uint8 (H, W, 3)`` to ``boxes_xyxy (N, 4)``, ``scores (N,)`` and ``levels (N,)``."""

    def __init__(self, network: RegionProposalNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Candidates of one image in its own pixels."""
        outputs = self.network(pixels.permute(2, 0, 1)[None])
        levels = self.network.anchors(outputs.maps_hw)
        size_hw = (pixels.shape[0], pixels.shape[1])
        found = self.network.candidates(outputs, levels, 0, size_hw, self.network.settings.select)
        return found.boxes_xyxy, found.scores, found.levels


def export_onnx(checkpoint: Path, target: Path) -> list[Agreement]:
    """Write ``target`` and run it beside PyTorch on images of two sizes.

    Args:
        checkpoint: A .safetensors file that ``objectness train`` wrote.
        target: Ends in .onnx; it appears whole or not at all.

    Returns:
        How well both agree on each size.

    Raises:
        InputError: the checkpoint cannot be read, or the two disagree beyond half a pixel or 0.001 in score.
    """
    import onnx

    network, details = load_network(checkpoint)
    example = torch.zeros((192, 256, 3), dtype=torch.uint8)
    height, width = torch.export.Dim("height", min=32, max=8192), torch.export.Dim("width", min=32, max=8192)
    program = torch.onnx.export(
        CandidateGraph(network).eval(),
        (example,),
        dynamo=True,
        opset_version=_OPSET,
        input_names=["pixels"],
        output_names=["boxes_xyxy", "scores", "levels"],
        dynamic_shapes={"pixels": {0: height, 1: width}},
        verbose=False,
    )
    assert program is not None
    described = describe_network(network, details | {"settings": to_dict(_portable(network.settings))})
    model = program.model_proto
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, *model.functions):
        del part.metadata_props[:]  # the exporter's traces name files of the machine that it ran on
    onnx.helper.set_model_props(model, {METADATA_KEY: described.to_json()})
    temporary = target.with_suffix(".tmp")
    onnx.save(model, temporary)
    agreements = compare(TorchEngine(network, described), OnnxEngine(temporary, str(target)))
    for agreement in agreements:
        if agreement.pixels > _TOLERANCE_PIXELS or agreement.score > _TOLERANCE_SCORE:
            temporary.unlink()
            raise InputError(
                f"{target} was not written: ONNX Runtime and PyTorch differ by {agreement.pixels:.3g} pixels and "
                f"{agreement.score:.3g} in score on an image of {agreement.size_hw}."
            )
    temporary.replace(target)
    return agreements


def _portable(settings: RPNSettings) -> RPNSettings:
    """The settings without the folder that the first weights lay in: the file goes to other machines."""
    weights = settings.backbone.weights
    if weights is None:
        return settings
    return replace(settings, backbone=replace(settings.backbone, weights=Path(weights).name))


def compare(reference: TorchEngine, exported: OnnxEngine, seed: int = 0) -> list[Agreement]:
    """Run both engines on the same random images and pair their candidates by box."""
    generator = np.random.default_rng(seed)
    agreements = []
    for size_hw in _CHECKED_SIZES_HW:
        pixels = _textured(size_hw, generator)
        pair = reference.candidates(pixels), exported.candidates(pixels)
        agreements.append(_agreement(size_hw, *pair))
    return agreements


def _agreement(size_hw: tuple[int, int], ours: Candidates, theirs: Candidates) -> Agreement:
    """Compare the sorted scores, and each of the best boxes with its nearest counterpart."""
    if len(ours.scores) != len(theirs.scores):
        return Agreement(size_hw, len(ours.scores), float("inf"), float("inf"))
    score = np.abs(np.sort(ours.scores) - np.sort(theirs.scores)).max(initial=0.0)
    best = np.argsort(-ours.scores, kind="stable")[:300]  # equal scores may come in another order
    distance: Any = np.abs(ours.boxes_xyxy[best][:, None] - theirs.boxes_xyxy[None]).max(axis=2).min(axis=1)
    return Agreement(size_hw, len(ours.scores), float(distance.max(initial=0.0)), float(score))


def _textured(size_hw: tuple[int, int], generator: np.random.Generator) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Blocks of random colour: flat noise would leave most of a network asleep."""
    coarse = generator.integers(0, 256, (-(-size_hw[0] // 16), -(-size_hw[1] // 16), 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((16, 16, 1), dtype=np.uint8))[: size_hw[0], : size_hw[1]]
