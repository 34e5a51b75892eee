"""Export of a detector: pixels in; named boxes out, in one ONNX graph that was run beside PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from objectness.detector.checkpoint import load_detector
from objectness.detector.network import FasterRCNN
from objectness.engines.detection import DETECTOR_KEY, DetectionEngine
from objectness.engines.onnx_detector import OnnxDetector, to_json
from objectness.engines.settings import EngineSettings
from objectness.errors import InputError
from objectness.export.detector_graph import append_detector, export_boxes
from objectness.export.graph import export_choice, export_network
from objectness.export.metadata import portable, weights_hash
from objectness.export.postprocessing_graph import combine
from objectness.files.atomic_write import replacing_bytes, require_place
from objectness.inference.torch_detector import TorchDetector
from objectness.settings import to_dict
from objectness.version import __version__

_TRIALS_HW = ((192, 256), (240, 176))
_MOST_PIXELS, _MOST_SCORE = 0.5, 0.001  # differences that rounding explains
_LEAST_SAME = 0.9  # share of the detections with a counterpart: of two almost equal scores, either may be suppressed


def export_detector(
    checkpoint: Path, target: Path, *, licence: str | None = None, notify: Callable[[str], None] = lambda _: None
) -> Path:
    """Write a detector as one .onnx file; it appears after it was run beside PyTorch on images of two sizes.

    Args:
        checkpoint: A .safetensors file of a detector.
        target: Ends in .onnx; it appears whole or not at all.
        licence: Of the weights, kept in the file.
        notify: Receives progress messages.

    Raises:
        InputError: The checkpoint cannot be read, has RoIPool, or no RPN of its own; the file cannot be written, or
            differs from PyTorch.
    """
    require_place(target)
    network, details = load_detector(checkpoint)
    if network.foreign_proposals:
        raise InputError(f"{checkpoint} was trained on the proposals of a file, and has no RPN to export.")
    notify("PyTorch exports the box head: graph 1 of 3.")
    boxes = export_boxes(network)
    notify("PyTorch exports the network: graph 2 of 3, a minute or more on a small machine.")
    batch = export_network(network.rpn)
    notify("PyTorch exports the choice of candidates: graph 3 of 3.")
    choice = export_choice(network.rpn)
    rpn = combine(batch, choice, network.rpn.settings.select, levels=len(network.rpn.strides), nms=True)
    model = append_detector(rpn, boxes, network)
    reference = TorchDetector(network, {**details, **_origin(network, details.get("licence"), licence)})
    onnx.helper.set_model_props(model, {DETECTOR_KEY: to_json(reference.description)})
    model.producer_name, model.producer_version, model.model_version = "objectness", __version__, 1
    model.doc_string = f"{reference.description.name}: named boxes."
    content = model.SerializeToString()
    notify(f"Comparing the graph with PyTorch, and writing {target}.")
    require_equal(reference, OnnxDetector(content, str(target), EngineSettings()), target)
    with replacing_bytes(target) as file:
        file.write(content)
    return target


def _origin(network: FasterRCNN, own: object, licence: str | None) -> dict[str, object]:
    return {
        "version": __version__,
        "licence": licence or own or "not stated",
        "weights_sha256": weights_hash(network),
        "settings": {"rpn": to_dict(portable(network.rpn.settings)), "detector": to_dict(network.settings)},
    }


def require_equal(reference: DetectionEngine, exported: DetectionEngine, target: Path) -> None:
    """Refuse an export whose detections are others than the reference's.

    Raises:
        InputError: naming the share that has no counterpart.
    """
    generator = np.random.default_rng(0)
    for height, width in _TRIALS_HW:
        coarse = generator.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
        pixels = np.ascontiguousarray(coarse.repeat(16, axis=0).repeat(16, axis=1))
        ours, theirs = reference.detect(pixels), exported.detect(pixels)
        same = 0
        for box, score, label in zip(ours.boxes_xyxy, ours.scores, ours.labels, strict=True):
            near = np.abs(theirs.boxes_xyxy - box).max(axis=1, initial=0) <= _MOST_PIXELS
            same += bool((near & (theirs.labels == label) & (np.abs(theirs.scores - score) <= _MOST_SCORE)).any())
        most = max(len(ours.scores), len(theirs.scores))
        if same < _LEAST_SAME * most:
            raise InputError(
                f"{target} was not written: on an image of {height} x {width} pixels ONNX Runtime gives {same} of the "
                f"{most} detections that PyTorch gives; please report it with the checkpoint's settings."
            )
