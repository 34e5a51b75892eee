"""The network of a file that OpenVINO has read: the bundled model, whole, renamed and cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino")

from objectness.engines import METADATA_KEY, EngineSettings, ModelDescription
from objectness.engines.dense_geometry import MapsOf, maps_of
from objectness.engines.onnx_runtime import open_onnx
from objectness.engines.openvino_dense import dense_openvino
from objectness.engines.openvino_runtime import open_openvino, openvino_core
from objectness.errors import InputError
from objectness.inference.model_files import bundled_model

pytestmark = pytest.mark.slow
PREFIX = "image/constant/network.refinement."


@pytest.fixture
def read() -> Any:
    return openvino_core().read_model(bundled_model())


@pytest.fixture
def meaning(read: Any) -> MapsOf:
    text = read.get_rt_info(["framework", METADATA_KEY]).astype(str)
    assert json.loads(text)["reach"] == 448
    return maps_of(ModelDescription.from_json(text, "here"), "here")


def inner(model: Any) -> Iterator[Any]:
    loop = next(node for node in model.get_ops() if node.get_type_name() == "Loop")
    yield from loop.get_function().get_ops()


def test_the_loop_is_left_out(read: Any, meaning: MapsOf) -> None:
    found = dense_openvino(read, meaning, "here")
    assert found.maps_prefix == "detail"
    assert "Loop" not in {node.get_type_name() for node in found.model.get_ops()}
    assert [port.any_name for port in found.model.inputs] == ["pixels"]


def test_a_value_that_is_not_there(read: Any, meaning: MapsOf) -> None:
    next(port for node in read.get_ops() for port in node.outputs() if "deltas_2" in port.get_names()).set_names({"x"})
    with pytest.raises(InputError, match=r"here: its graph has no value named deltas_2, .*export it again"):
        dense_openvino(read, meaning, "here")


def test_a_bias_under_another_name_is_not_taken_for_none(read: Any, meaning: MapsOf) -> None:
    next(node for node in inner(read) if node.get_friendly_name() == f"{PREFIX}answer.bias").set_friendly_name("x")
    with pytest.raises(InputError, match=r"here: its second stage has no constant .*answer\.bias"):
        dense_openvino(read, meaning, "here")


def test_a_bias_of_zeros_may_be_missing(meaning: MapsOf) -> None:
    onnx = pytest.importorskip("onnx", reason="the extra train is not installed")
    model = onnx.load_from_string(bundled_model())
    loop = next(node for node in model.graph.node if node.op_type == "Loop")
    for node in loop.attribute[0].g.node:  # as an export leaves it out
        if f"{PREFIX}answer.bias" in node.input:
            node.input.remove(f"{PREFIX}answer.bias")
    found = dense_openvino(openvino_core().read_model(model.SerializeToString()), meaning, "here")
    assert found.weights is not None
    np.testing.assert_array_equal(found.weights.predictor[1], np.zeros(5))


def test_several_threads_at_once_as_in_onnx_runtime() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 97, 161, 3), dtype=np.uint8)
    settings = EngineSettings(threads=2)
    dense, reference = (opened(bundled_model(), "here", settings).dense(1) for opened in (open_openvino, open_onnx))
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(dense.maps, pixels))
    for image, maps in zip(pixels, found, strict=True):
        expected = reference.maps(image)
        for kind in ("scores", "deltas", "anchors_xyxy", "features"):
            for one, other in zip(getattr(maps, kind), getattr(expected, kind), strict=True):
                np.testing.assert_allclose(one, other, atol=1e-4)
