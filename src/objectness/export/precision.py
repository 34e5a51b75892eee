"""Smaller numbers in the network's part of the graph; anchors, decoding and suppression stay float32."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxscript import rewriter

from objectness.engines import INPUT
from objectness.errors import InputError
from objectness.export.suppress_warnings import only_errors
from objectness.images import open_fitted

_RANGE_PHOTOS = 100
_WORTH_HALVING = 256  # numbers in a constant: smaller ones are biases, and nothing is gained
_HALF_LIMIT = float(np.finfo(np.float16).max)


def range_images(photos: Sequence[Path], short_side: int, long_side: int) -> list[NDArray[np.uint8]]:
    """Up to 100 of the photographs, resized as the network will see them; they show the quantiser the ranges of values.

    Raises:
        InputError: None of them can be read.
    """
    places = np.linspace(0, len(photos) - 1, min(_RANGE_PHOTOS, len(photos))).round().astype(int)
    images = []
    for place in places:
        with suppress(InputError):  # one that cannot be read: the others are enough
            images.append(open_fitted(photos[place], short_side, long_side).pixels)
    if not images:
        raise InputError(
            f"None of the {len(places)} photographs for int8 could be read: give others.", arguments=("photos",)
        )
    return images


def halve(network: onnx.ModelProto) -> onnx.ModelProto:
    """Weights stored in half precision, computed with in float32: half the file, the same speed.

    A processor has no quick half-precision arithmetic in ONNX Runtime, so computing in it would cost time.
    """
    model = onnx.ModelProto()
    model.CopyFrom(network)
    casts = []
    for constant in model.graph.initializer:
        if constant.data_type != TensorProto.FLOAT or np.prod(constant.dims) < _WORTH_HALVING:
            continue
        values = numpy_helper.to_array(constant)
        halved = np.clip(values, -_HALF_LIMIT, _HALF_LIMIT).astype(np.float16)
        whole, small = constant.name, f"{constant.name}/half"
        constant.CopyFrom(numpy_helper.from_array(halved, small))
        casts.append(helper.make_node("Cast", [small], [whole], name=f"{whole}/cast", to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def quantise(network: onnx.ModelProto, results: set[str], images: Sequence[NDArray[np.uint8]]) -> onnx.ModelProto:
    """Convolutions in 8 bits (static, QDQ, weights channel by channel), with ranges seen on ``images``.

    Batch norms become part of their convolutions first: in between, 8 bits would have to become floats and back. The
    last layer before each result stays as it is: it costs little, 256 steps are few for the logits that rank
    proposals, and ONNX Runtime 1.32 crashes where what a loop reads was just dequantised.

    Args:
        network: ``pixels (B, H, W, 3)`` to named tensors.
        results: The tensors that matter in the end.
        images: RGB ``uint8 (H, W, 3)`` each, as the network will see them.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(images)

        def get_next(self) -> dict[str, Any] | None:
            image = next(self.left, None)
            return None if image is None else {INPUT: image[None]}

    with tempfile.TemporaryDirectory() as folder, only_errors():
        source, target = Path(folder, "whole.onnx"), Path(folder, "small.onnx")
        network = rewriter.rewrite(network)
        onnx.save(network, source)
        quantize_static(
            source,
            target,
            Images(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=_last_convolutions(network, results),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(target)


def _last_convolutions(network: onnx.ModelProto, results: set[str]) -> list[str]:
    makers = {name: node for node in network.graph.node for name in node.output}
    last: set[str] = set()
    waiting, seen = list(results), set(results)
    while waiting:
        node = makers.get(waiting.pop())
        if node is None:
            continue
        if node.op_type == "Conv":
            last.add(node.name)
            continue
        waiting += [name for name in node.input if name not in seen]
        seen.update(node.input)
    return sorted(last)
