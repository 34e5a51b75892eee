from __future__ import annotations

import math
from importlib import resources
from typing import Any

import numpy as np
import pytest

from objectness.speed.work import machine_gflops, watch

onnx = pytest.importorskip("onnx")


def _model(nodes: list[Any], constants: dict[str, np.ndarray], output: str) -> bytes:
    """A graph from ``pixels (B, H, W, 3)``; the nodes begin after a cast and a transpose to ``image (B, 3, H, W)``."""
    helper, kinds = onnx.helper, onnx.TensorProto
    first = [
        helper.make_node("Cast", ["pixels"], ["numbers"], to=kinds.FLOAT),
        helper.make_node("Transpose", ["numbers"], ["image"], perm=[0, 3, 1, 2]),
    ]
    graph = helper.make_graph(
        [*first, *nodes],
        "tiny",
        [helper.make_tensor_value_info("pixels", kinds.UINT8, ["batch", "height", "width", 3])],
        [helper.make_tensor_value_info(output, kinds.FLOAT, None)],
        [onnx.numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def _convolution(out: int, each: int, side: int) -> np.ndarray:
    return np.ones((out, each, side, side), np.float32)


def test_convolutions_of_five_channels_by_hand() -> None:
    """Five and ten are multiples of nothing that a processor likes: padding must not count."""
    nodes = [
        onnx.helper.make_node("Conv", ["image", "first"], ["five"], pads=[1, 1, 1, 1]),
        onnx.helper.make_node("Relu", ["five"], ["active"]),
        onnx.helper.make_node("Conv", ["active", "second"], ["ten"], group=5, strides=[2, 2], pads=[1, 1, 1, 1]),
    ]
    constants = {"first": _convolution(5, 3, 3), "second": _convolution(10, 1, 3)}
    done = watch(_model(nodes, constants, "ten"), np.zeros((2, 8, 6, 3), np.uint8), threads=1)
    whole = 2 * 5 * 8 * 6 * (3 * 3 * 3)  # images, channels, height, width; each a sum of 27 products
    grouped = 2 * 10 * 4 * 3 * (1 * 3 * 3)
    assert done.flops == 2 * (whole + grouped)
    assert done.convolution_ms > 0
    assert done.other_ms > 0


@pytest.mark.parametrize("transposed", [0, 1])
def test_matrix_products_by_hand(transposed: int) -> None:
    table = np.ones((7, 3) if transposed else (3, 7), np.float32)
    nodes = [
        onnx.helper.make_node("Reshape", ["image", "rows"], ["matrix"]),
        onnx.helper.make_node("Gemm", ["matrix", "table"], ["wide"], transA=1, transB=transposed),
        onnx.helper.make_node("MatMul", ["wide", "narrow"], ["result"]),
    ]
    constants = {"rows": np.array([3, -1]), "table": table, "narrow": np.ones((7, 2), np.float32)}
    done = watch(_model(nodes, constants, "result"), np.zeros((1, 4, 5, 3), np.uint8), threads=1)
    assert done.flops == 2 * (20 * 3 * 7 + 20 * 7 * 2)


def test_a_graph_without_arithmetic() -> None:
    nodes = [onnx.helper.make_node("Relu", ["image"], ["same"])]
    done = watch(_model(nodes, {}, "same"), np.zeros((1, 4, 4, 3), np.uint8), threads=1)
    assert (done.flops, done.convolution_ms) == (0, 0)


@pytest.mark.slow
def test_the_model_in_the_box_against_a_count_of_its_outputs() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    model = (resources.files("objectness.models") / "default.onnx").read_bytes()
    pixels = np.zeros((1, 96, 160, 3), np.uint8)
    opened = onnx.load_from_string(model)
    sides = {constant.name: constant.dims for constant in opened.graph.initializer}
    convolutions = [node for node in opened.graph.node if node.op_type == "Conv"]
    for node in convolutions:
        opened.graph.output.append(onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(opened.SerializeToString(), options, providers=["CPUExecutionProvider"])
    maps = session.run([node.output[0] for node in convolutions], {"pixels": pixels})
    pairs = zip(convolutions, maps, strict=True)
    expected = sum(2 * own.size * math.prod(sides[node.input[1]][1:]) for node, own in pairs)
    # The second stage, on every box of so small an image: no level has more than 300.
    looked_at = sum(math.ceil(96 / stride) * math.ceil(160 / stride) for stride in (8, 16, 32, 64))
    layers = [dims for name, dims in sides.items() if "refinement" in name and len(dims) == 2]
    assert len(layers) == 3
    expected += sum(2 * looked_at * math.prod(dims) for dims in layers)
    assert watch(model, pixels, threads=1).flops == expected


def test_the_machine_has_a_speed() -> None:
    assert 0.1 < machine_gflops(1, seconds=0) < 1e5
