"""The end of the exported graph, written in ONNX itself: suppression, ranking, calibration, one image at a time.

PyTorch exports the network for a batch, and the choice of candidates for one image; here both become one graph, in
which a ``Loop`` takes the images of a batch in turn. n candidates of an image, L levels, N places in the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from objectness.calibration import Calibration
from objectness.engines import CANDIDATE_OUTPUTS, INPUT, NMS_INPUT, PROPOSAL_OUTPUTS, TOP_INPUT, float32_at_most
from objectness.rpn.settings import SelectSettings

_IR_VERSION = 10  # what ONNX Runtime 1.18 and later read
_TYPES = {"boxes_xyxy": TensorProto.FLOAT, "scores": TensorProto.FLOAT}  # all else is int64
_BELOW_ALL = np.float32(-1)  # below any probability


@dataclass
class Nodes:
    """Nodes under construction; every value is named after what it is, behind a common prefix."""

    prefix: str
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """A node with one output, whose name it gives."""
        return self.add_all(kind, inputs, (name,), **attributes)[0]

    def add_all(self, kind: str, inputs: Sequence[str], names: Sequence[str], **attributes: Any) -> list[str]:
        """A node with several outputs, whose names it gives."""
        outputs = [f"{self.prefix}{name}" for name in names]
        self.nodes.append(helper.make_node(kind, list(inputs), outputs, name=outputs[0], **attributes))
        return outputs

    def constant(self, values: Any, name: str) -> str:
        """A constant, whose name it gives."""
        self.constants.append(numpy_helper.from_array(np.asarray(values), f"{self.prefix}{name}"))
        return f"{self.prefix}{name}"

    def copy(self, constant: onnx.TensorProto) -> str:
        """Take over a constant of another graph."""
        copied = onnx.TensorProto()
        copied.CopyFrom(constant)
        copied.name = f"{self.prefix}constant/{constant.name}"
        self.constants.append(copied)
        return copied.name


def combine(
    network: onnx.ModelProto,
    one_image: onnx.ModelProto,
    settings: SelectSettings,
    *,
    levels: int,
    nms: bool,
    calibration: Calibration | None = None,
) -> onnx.ModelProto:
    """One graph of two: the network for a batch, and the choice of boxes for each image.

    Args:
        network: ``pixels (B, H, W, 3)`` to named tensors; the anchors of each level have no batch axis.
        one_image: The same names, with a batch of 1, to ``boxes_xyxy (n, 4)``, ``scores (n,)``, ``levels (n,)``.
        settings: Default thresholds.
        levels: Number of levels.
        nms: Suppress and rank inside; else the candidates are the outputs.
        calibration: Applied to the scores at the end.

    Returns:
        With ``nms``: ``boxes_xyxy (B, N, 4)``, ``scores (B, N)`` and ``counts (B,)``; N and the IoU threshold are
        the constants ``top`` and ``nms_iou``. Else also ``levels (B, N)``, and N is as many as there can be.
    """
    outside, body = Nodes("batch/"), Nodes("image/")
    constants, found = _place(network, one_image, body, levels)
    if nms:
        found = _suppress(body, found, levels)
        places = TOP_INPUT
    else:
        places = _most_candidates(outside, levels, settings.pre_nms_top_n)
    if calibration is not None:
        found["scores"] = _calibrate(body, found["scores"], calibration)
    names = PROPOSAL_OUTPUTS if nms else CANDIDATE_OUTPUTS
    results = _pad(body, found, places, names)
    shape = outside.add("Shape", [INPUT], "shape", start=0, end=1)
    images = outside.add("Squeeze", [shape], "images")
    outside.nodes.append(
        helper.make_node("Loop", [images, ""], list(names), name="each_image", body=_subgraph(body, names, results))
    )
    model = onnx.ModelProto()
    model.CopyFrom(network)
    model.ir_version = _IR_VERSION
    graph = model.graph
    graph.name = "objectness"
    graph.node.extend(outside.nodes)
    graph.initializer.extend([*constants, *body.constants, *outside.constants])
    if nms:
        # Constants, not inputs with a value: every program that opens the file would warn of these. Our own engine
        # makes inputs of them.
        limits = {NMS_INPUT: np.array([float32_at_most(settings.nms_iou)], np.float32)}
        limits[TOP_INPUT] = np.array([settings.post_nms_top_n], np.int64)
        graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in limits.items())
    del graph.output[:]
    for name in names:
        sides: tuple[str | int, ...] = ("batch", "places")
        if name == "boxes_xyxy":
            sides = ("batch", "places", 4)
        elif name == "counts":
            sides = ("batch",)
        graph.output.append(helper.make_tensor_value_info(name, _TYPES.get(name, TensorProto.INT64), sides))
    return model


def anchor_names(levels: int) -> list[str]:
    """Names of the network's tensors that have no batch axis: the anchors of each level."""
    return [f"anchors_{level}" for level in range(levels)]


def needed(one_image: onnx.ModelProto) -> set[str]:
    """Names of the network's tensors that the choice for one image reads."""
    used = {name for node in one_image.graph.node for name in node.input}
    return used & {value.name for value in one_image.graph.input} - {INPUT}


def strip_traces(model: onnx.ModelProto) -> None:
    """Remove the exporter's notes, in place: they name files of the machine that it ran on."""
    graph = model.graph
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer, graph, model):
        del part.metadata_props[:]
        part.doc_string = ""


def _place(
    network: onnx.ModelProto, one_image: onnx.ModelProto, body: Nodes, levels: int
) -> tuple[list[Any], dict[str, str]]:
    """Put the choice for one image into the loop's body: its constants, and the names of its results there."""
    given = {value.name for value in network.graph.output}
    index = body.add("Unsqueeze", ["image/index", body.constant(np.array([0]), "first_axis")], "from")
    following = body.add("Add", [index, body.constant(np.array([1]), "one")], "to")
    renamed = {"": "", INPUT: INPUT}
    for name in sorted(needed(one_image)):
        if name not in given:
            raise ValueError(f"The network does not give {name}.")
        shared = name in anchor_names(levels)
        renamed[name] = name if shared else body.add("Slice", [name, index, following, "image/first_axis"], name)
    constants = []
    for constant in one_image.graph.initializer:
        copied = onnx.TensorProto()
        copied.CopyFrom(constant)
        copied.name = renamed[constant.name] = f"image/constant/{constant.name}"
        constants.append(copied)
    for node in one_image.graph.node:
        renamed |= {name: f"image/choice/{name}" for name in node.output if name}
        moved = onnx.NodeProto()
        moved.CopyFrom(node)
        del moved.input[:], moved.output[:]
        moved.input.extend(renamed[name] for name in node.input)
        moved.output.extend(renamed[name] for name in node.output)
        moved.name = f"image/choice/{node.name}"
        body.nodes.append(moved)
    return constants, {value.name: renamed[value.name] for value in one_image.graph.output}


def _suppress(body: Nodes, found: dict[str, str], levels: int) -> dict[str, str]:
    """Each level on its own (a level is a class to ``NonMaxSuppression``), then the best of all."""
    boxes, scores = found["boxes_xyxy"], found["scores"]
    of_level = body.add("Equal", [found["levels"], body.constant(np.arange(levels)[:, None], "level_ids")], "of_level")
    masked = body.add("Where", [of_level, scores, body.constant(_BELOW_ALL, "below_all")], "scores_by_level")  # (L, n)
    batched = [
        body.add("Unsqueeze", [value, "image/first_axis"], f"{name}_batched")
        for name, value in (("boxes", boxes), ("scores", masked))
    ]
    lowest = body.constant(np.array([_BELOW_ALL / 2]), "lowest")
    kept = body.add("NonMaxSuppression", [*batched, TOP_INPUT, NMS_INPUT, lowest], "kept")  # (m, 3): 0, level, index
    index = body.add("Gather", [kept, body.constant(np.array(2), "index_column")], "kept_index", axis=1)
    # Back on their places before they are ranked: of equal scores the earlier candidate wins, on any level.
    nothing = body.add("Expand", ["image/below_all", body.add("Shape", [scores], "candidates")], "nothing")
    kept_scores = body.add("Gather", [scores, index], "kept_scores")
    placed = body.add("ScatterElements", [nothing, index, kept_scores], "placed")
    count = body.add("Min", [body.add("Shape", [index], "survivors"), TOP_INPUT], "proposals")
    best, order = body.add_all("TopK", [placed, count], ("best_scores", "best_index"))
    return {"boxes_xyxy": body.add("Gather", [boxes, order], "best_boxes"), "scores": best}


def _most_candidates(outside: Nodes, levels: int, pre_nms_top_n: int) -> str:
    """Largest number of candidates of an image: the sum over levels of the boxes that enter suppression."""
    limit = outside.constant(np.array([pre_nms_top_n]), "pre_nms_top_n")
    counts = [
        outside.add("Min", [outside.add("Shape", [name], f"{name}/shape", start=0, end=1), limit], f"{name}/count")
        for name in anchor_names(levels)
    ]
    return outside.add("ReduceSum", [outside.add("Concat", counts, "counts", axis=0)], "places", keepdims=1)


def _calibrate(body: Nodes, scores: str, calibration: Calibration) -> str:
    """Straight lines between knots, as ``Calibration`` computes them: each step rises in any rounding."""
    starts, lengths, slopes, lowest = calibration.pieces()
    zero = body.constant(np.float32(0), "no_rise")
    total = body.constant(lowest, "lowest_probability")
    for number, piece in enumerate(zip(starts, lengths, slopes, strict=True)):
        start, length, slope = (
            body.constant(value, f"piece{number}/{kind}") for value, kind in zip(piece, "sle", strict=True)
        )
        above = body.add("Sub", [scores, start], f"piece{number}/above")
        risen = body.add("Clip", [above, zero, length], f"piece{number}/clipped")
        total = body.add(
            "Add", [total, body.add("Mul", [risen, slope], f"piece{number}/risen")], f"piece{number}/total"
        )
    return body.add("Min", [total, body.constant(np.float32(1), "certain")], "calibrated")


def _pad(body: Nodes, found: dict[str, str], places: str, names: Sequence[str]) -> list[str]:
    """Every image gets the same number of rows; ``counts`` says how many of them are its own."""
    count = body.add("Shape", [found["scores"]], "count")
    missing = body.add("Sub", [places, count], "missing")
    zero = body.constant(np.array([0]), "no_padding")
    rows = body.add("Concat", [zero, missing], "pad_values", axis=0)
    table = body.add("Concat", [zero, zero, missing, zero], "pad_rows", axis=0)
    results = []
    for name in names:
        if name == "counts":
            results.append(body.add("Squeeze", [count, zero], "count_scalar"))
            continue
        inputs = [found[name], table if name == "boxes_xyxy" else rows]
        if name == "levels":
            inputs.append(body.constant(np.array(-1), "no_level"))
        results.append(body.add("Pad", inputs, f"{name}_padded"))
    return results


def _subgraph(body: Nodes, names: Sequence[str], results: Sequence[str]) -> Any:
    go_on = body.add("Identity", ["image/go_on"], "goes_on")
    outputs = [helper.make_tensor_value_info(go_on, TensorProto.BOOL, [])]
    for name, result in zip(names, results, strict=True):
        shape: tuple[int | None, ...] = (None,)
        if name == "boxes_xyxy":
            shape = (None, 4)
        elif name == "counts":
            shape = ()
        outputs.append(helper.make_tensor_value_info(result, _TYPES.get(name, TensorProto.INT64), shape))
    inputs = [
        helper.make_tensor_value_info("image/index", TensorProto.INT64, []),
        helper.make_tensor_value_info("image/go_on", TensorProto.BOOL, []),
    ]
    return helper.make_graph(body.nodes, "one_image", inputs, outputs)
