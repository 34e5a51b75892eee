from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectness import proposer
from objectness.engines import METADATA_KEY, ModelDescription, OnnxEngine
from objectness.errors import InputError

DESCRIPTION = ModelDescription("tiny", short_side=32, long_side=64, nms_iou=0.6, top=5, details={"ar_100": 0.25})


def _save_model(path: Path, metadata: str | None = DESCRIPTION.to_json(), output: str = "boxes_xyxy") -> None:
    """A graph that proposes the whole image (score 0.5) and its top left quarter (0.9)."""
    onnx = pytest.importorskip("onnx", reason="the graph is built with the onnx package (extra train)")
    helper, kinds = onnx.helper, onnx.TensorProto
    constants = {
        "order": np.array([1, 0, 1, 0]),
        "parts": np.array([[0, 0, 1, 1], [0, 0, 0.5, 0.5]], np.float32),
        "some_scores": np.array([0.5, 0.9], np.float32),
        "some_levels": np.array([0, 1]),
    }
    nodes = [
        helper.make_node("Shape", ["pixels"], ["shape"]),
        helper.make_node("Gather", ["shape", "order"], ["whwh"]),
        helper.make_node("Cast", ["whwh"], ["limits"], to=kinds.FLOAT),
        helper.make_node("Mul", ["parts", "limits"], [output]),
        helper.make_node("Identity", ["some_scores"], ["scores"]),
        helper.make_node("Identity", ["some_levels"], ["levels"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", kinds.UINT8, ["height", "width", 3])],
        [
            helper.make_tensor_value_info(output, kinds.FLOAT, ["n", 4]),
            helper.make_tensor_value_info("scores", kinds.FLOAT, ["n"]),
            helper.make_tensor_value_info("levels", kinds.INT64, ["n"]),
        ],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if metadata is not None:
        helper.set_model_props(model, {METADATA_KEY: metadata})
    onnx.save(model, path)


def test_a_model_file_describes_itself(tmp_path: Path) -> None:
    _save_model(tmp_path / "tiny.onnx")
    propose = proposer.load(tmp_path / "tiny.onnx", threads=1)
    assert propose.description == DESCRIPTION
    found = propose(np.zeros((100, 300, 3), np.uint8))  # resized to 21 x 64: the long side is capped
    np.testing.assert_allclose(found.boxes_xyxy, [[0, 0, 150, 50], [0, 0, 300, 100]], rtol=1e-6)
    np.testing.assert_allclose(found.scores, [0.9, 0.5])
    assert found.size_hw == (100, 300)


def test_the_default_model_is_read_from_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _save_model(tmp_path / "default.onnx")
    monkeypatch.setattr(proposer.resources, "files", lambda package: tmp_path)
    assert proposer.load().description == DESCRIPTION
    assert proposer.load("default").description == DESCRIPTION


def test_candidates_of_one_size_after_another(tmp_path: Path) -> None:
    _save_model(tmp_path / "tiny.onnx")
    engine = OnnxEngine(tmp_path / "tiny.onnx", "tiny")
    for height, width in ((1, 1), (7, 5)):
        found = engine.candidates(np.zeros((height, width, 3), np.uint8))
        expected = np.float32([[0, 0, width, height], [0, 0, width / 2, height / 2]])
        np.testing.assert_array_equal(found.boxes_xyxy, expected)
        assert found.levels.tolist() == [0, 1]


def test_a_graph_that_is_not_ours_tells_what_was_found(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    _save_model(path, output="detections")
    with pytest.raises(InputError, match=r"pixels tensor\(uint8\).*detections, scores, levels.*expected") as caught:
        proposer.load(path)
    assert str(path) in str(caught.value)
    _save_model(path, metadata=None)
    with pytest.raises(InputError, match="metadata key 'objectness'"):
        proposer.load(path)


@pytest.mark.parametrize("content", [b"hi", b"\x08\x07", b"x" * 1000])
def test_a_file_that_is_no_onnx_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"no\.onnx: is damaged, or no ONNX model") as caught:
        proposer.load(path)
    assert "\n" not in str(caught.value)


def test_a_truncated_model(tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    _save_model(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"cut\.onnx: is damaged"):
        proposer.load(path)


def test_devices(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    (tmp_path / "any.onnx").write_bytes(b"x")
    with pytest.raises(InputError, match="'tpu' is unknown; known are cpu and cuda"):
        proposer.load(tmp_path / "any.onnx", device="tpu")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(InputError, match="onnxruntime-gpu"):
            proposer.load(tmp_path / "any.onnx", device="cuda")


def test_the_description_survives_a_round_trip() -> None:
    assert ModelDescription.from_json(DESCRIPTION.to_json(), "here") == DESCRIPTION


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "format is not 1; upgrade objectness"),
        ({"short_side": None}, "damaged"),
        ({"short_side": 0}, "damaged"),
        ({"top": "many"}, "damaged"),
    ],
)
def test_descriptions_that_cannot_be_used(change: dict[str, Any], words: str) -> None:
    text = json.dumps({**json.loads(DESCRIPTION.to_json()), **change})
    with pytest.raises(InputError, match=f"here: .*{words}"):
        ModelDescription.from_json(text, "here")


@pytest.mark.parametrize("text", ["", "[1]", "{}", "null"])
def test_descriptions_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="here: its description is damaged"):
        ModelDescription.from_json(text, "here")
