"""Detectors as one ONNX graph: that of the RPN, with the box head and the selection of detections behind it.

PyTorch exports the box head; the selection (score, suppression within each class, the best of all) is written in ONNX.
One image at a time. P proposals, C classes, n = P * C scored boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn
from torchvision.ops import roi_align
from torchvision.ops.poolers import LevelMapper

from objectness.detector.network import FasterRCNN
from objectness.engines import INPUT
from objectness.engines.detection import DETECTION_OUTPUTS
from objectness.errors import InputError
from objectness.export.graph import EXAMPLE_HW, export_graph, sides
from objectness.export.postprocessing_graph import Nodes

_PROPOSALS = 5  # of the example


class _BoxGraph(nn.Module):
    """Feature maps ``(1, F, H, W)`` and proposals ``(P, 4)`` to boxes ``(n, 4)`` and scores ``(n,)``."""

    def __init__(self, network: FasterRCNN) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor, features: list[Tensor], proposals: Tensor) -> tuple[Tensor, Tensor]:
        network, roi = self.network, self.network.roi
        logits, deltas = roi.box_predictor(roi.box_head(_pooled(network, features, proposals)))
        scores = logits.softmax(dim=-1)[:, 1:]
        outputs = logits.shape[1]
        boxes = roi.box_coder.decode_single(deltas.reshape(-1, 4 * outputs), proposals).reshape(-1, outputs, 4)
        size = torch.stack([_scalar(pixels.shape[side]) for side in (2, 1, 2, 1)])
        boxes = torch.minimum(boxes[:, 1:].clamp(min=0), size)
        return boxes.reshape(-1, 4), scores.reshape(-1)


def _scalar(side: Any) -> Tensor:
    return torch.scalar_tensor(side, dtype=torch.float32)


def _pooled(network: FasterRCNN, features: Sequence[Tensor], boxes: Tensor) -> Tensor:
    """As ``MultiScaleRoIAlign``; each level pools all boxes, as a graph has no lists of unknown length."""
    settings, strides = network.settings.pool, network.rpn.strides
    mapper = network.roi.box_roi_pool.map_levels
    assert isinstance(mapper, LevelMapper)
    levels = mapper([boxes])
    indexed = torch.cat([torch.zeros_like(boxes[:, :1]), boxes], dim=1)
    total = None
    for level, (feature_map, stride) in enumerate(zip(features, strides, strict=True)):
        pooled = roi_align(feature_map, indexed, settings.size, 1 / stride, settings.sampling)
        own = torch.where((levels == level)[:, None, None, None], pooled, 0)
        total = own if total is None else total + own
    assert total is not None
    return total


def export_boxes(network: FasterRCNN) -> Any:
    """The box head's graph as ``onnx.ModelProto``.

    Raises:
        InputError: RoIPool, which PyTorch exports into no graph.
    """
    if network.settings.pool.kind != "roi-align":
        raise InputError(
            "A detector with RoIPool cannot be exported: PyTorch has no graph of it. One with detector.pool.kind="
            "roi-align can."
        )
    pixels = torch.zeros((1, *EXAMPLE_HW, 3), dtype=torch.uint8)
    with torch.no_grad():
        features = list(network.eval()(pixels.permute(0, 3, 1, 2)).features)
    proposals = torch.tensor([[0.0, 0, 40 + 20 * at, 60 + 10 * at] for at in range(_PROPOSALS)])
    free = torch.export.Dim.AUTO
    return export_graph(
        _BoxGraph(network),
        (pixels, features, proposals),
        [INPUT, *feature_names(len(features)), "proposals"],
        ["class_boxes", "class_scores"],
        {
            "pixels": sides(),
            "features": [{2: free, 3: free} for _ in features],
            "proposals": {0: torch.export.Dim("count", min=1, max=1_000_000)},
        },
    )


def feature_names(levels: int) -> list[str]:
    """Names of the feature maps in the graph of the RPN."""
    return [f"features_{level}" for level in range(levels)]


def append_detector(rpn: onnx.ModelProto, boxes: onnx.ModelProto, network: FasterRCNN) -> onnx.ModelProto:
    """One graph: pixels ``(1, H, W, 3)`` to ``boxes_xyxy (D, 4)``, ``scores (D,)`` and ``labels (D,)``.

    Args:
        rpn: With suppression inside, of which ``boxes_xyxy (B, N, 4)`` and ``counts (B,)`` are the outputs.
        boxes: From :func:`export_boxes`.
        network: Its settings give the thresholds.
    """
    model = onnx.ModelProto()
    model.CopyFrom(rpn)
    graph, select, classes = model.graph, network.settings.select, len(network.class_names)
    nodes = Nodes("detector/")
    moved = {name: f"rpn/{name}" for name in ("boxes_xyxy", "scores", "counts")}
    for node in graph.node:
        for index, name in enumerate(node.output):
            node.output[index] = moved.get(name, name)
    zero, one = nodes.constant(np.array([0]), "zero"), nodes.constant(np.array([1]), "one")
    count = nodes.add("Slice", [moved["counts"], zero, one, zero], "count")
    count = nodes.add("Min", [count, nodes.constant(np.array([select.proposals]), "most")], "used")
    alone = nodes.add("Squeeze", [nodes.add("Slice", [moved["boxes_xyxy"], zero, one, zero], "first"), zero], "alone")
    renamed = {"": "", INPUT: INPUT, "proposals": nodes.add("Slice", [alone, zero, count, zero], "proposals")}
    renamed |= {name: name for name in feature_names(len(network.rpn.strides))}
    for constant in boxes.graph.initializer:
        copied = nodes.copy(constant)
        renamed[constant.name] = copied
    for node in boxes.graph.node:
        renamed |= {name: f"detector/head/{name}" for name in node.output if name}
        kept = onnx.NodeProto()
        kept.CopyFrom(node)
        del kept.input[:], kept.output[:]
        kept.input.extend(renamed[name] for name in node.input)
        kept.output.extend(renamed[name] for name in node.output)
        kept.name = f"detector/head/{node.name}"
        nodes.nodes.append(kept)
    found = _select(nodes, renamed["class_boxes"], renamed["class_scores"], classes, network)
    graph.node.extend(nodes.nodes)
    graph.initializer.extend(nodes.constants)
    del graph.output[:]
    for name, value in zip(DETECTION_OUTPUTS, found, strict=True):
        graph.node.append(helper.make_node("Identity", [value], [name], name=f"detector/{name}"))
        kind = TensorProto.INT64 if name == "labels" else TensorProto.FLOAT
        shape: tuple[str | int, ...] = ("detections", 4) if name == "boxes_xyxy" else ("detections",)
        graph.output.append(helper.make_tensor_value_info(name, kind, shape))
    graph.input[0].type.tensor_type.shape.dim[0].Clear()
    graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del graph.value_info[:]
    return model


def _select(nodes: Nodes, boxes: str, scores: str, classes: int, network: FasterRCNN) -> list[str]:
    """Score, suppression within each class, the best of all; boxes and scores lie proposal by proposal."""
    select, zero = network.settings.select, "detector/zero"
    total = nodes.add("Shape", [scores], "total")
    order = nodes.add(
        "Range",
        [
            nodes.constant(np.array(0), "start"),
            nodes.add("Squeeze", [total, zero], "end"),
            nodes.constant(np.array(1), "step"),
        ],
        "order",
    )
    labels = nodes.add("Mod", [order, nodes.constant(np.array(classes), "classes")], "all_labels")
    of_class = nodes.add("Equal", [labels, nodes.constant(np.arange(classes)[:, None], "class_ids")], "of_class")
    below = nodes.constant(np.float32(-1), "below_all")
    masked = nodes.add("Where", [of_class, scores, below], "by_class")
    batched = [
        nodes.add("Unsqueeze", [value, zero], name) for name, value in (("nms_boxes", boxes), ("nms_scores", masked))
    ]
    limits = [
        nodes.constant(np.array([1_000_000]), "no_limit"),
        nodes.constant(np.array([select.nms_iou], np.float32), "nms_iou"),
        nodes.constant(np.array([select.score], np.float32), "least_score"),
    ]
    kept = nodes.add("NonMaxSuppression", [*batched, *limits], "kept")
    index = nodes.add("Gather", [kept, nodes.constant(np.array(2), "index_column")], "kept_index", axis=1)
    kept_scores = nodes.add("Gather", [scores, index], "kept_scores")
    most = nodes.constant(np.array([select.detections]), "detections")
    count = nodes.add("Min", [nodes.add("Shape", [index], "survivors"), most], "detections_count")
    best, place = nodes.add_all("TopK", [kept_scores, count], ("best_scores", "best_place"))
    chosen = nodes.add("Gather", [index, place], "chosen")
    return [
        nodes.add("Gather", [boxes, chosen], "best_boxes"),
        best,
        nodes.add("Gather", [labels, chosen], "best_labels"),
    ]
