from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from objectness import loading
from objectness.cli import app
from objectness.engines import METADATA_KEY, EngineSettings, GraphEngine, ModelDescription, float32_at_most, open_graph
from objectness.errors import InputError

DESCRIPTION = ModelDescription("tiny", short_side=32, long_side=64, nms_iou=0.6, top=5, details={"ar_100": 0.25})


def _save_model(
    path: Path,
    metadata: str | None = DESCRIPTION.to_json(),
    output: str = "boxes_xyxy",
    opset: int = 17,
    ir_version: int = 9,
    nms: bool = True,
) -> None:
    """A graph that proposes the whole image (score 0.5) and its top left quarter (0.9), or both as candidates."""
    onnx = pytest.importorskip("onnx", reason="the graph is built with the onnx package (extra train)")
    helper, kinds = onnx.helper, onnx.TensorProto
    constants = {
        "order": np.array([2, 1, 2, 1]),
        "parts": np.array([[[0, 0, 0.5, 0.5], [0, 0, 1, 1]]], np.float32),
        "some_scores": np.array([[0.9, 0.5]], np.float32),
        "some_levels": np.array([[0, 1]]),
        "some_counts": np.array([2]),
        "zero": np.array([0]),
    }
    nodes = [
        helper.make_node("Shape", ["pixels"], ["shape"]),
        helper.make_node("Gather", ["shape", "order"], ["whwh"]),
        helper.make_node("Cast", ["whwh"], ["limits"], to=kinds.FLOAT),
        helper.make_node("Mul", ["parts", "limits"], ["boxes"]),
    ]
    inputs = [helper.make_tensor_value_info("pixels", kinds.UINT8, ["batch", "height", "width", 3])]
    outputs = [
        helper.make_tensor_value_info(output, kinds.FLOAT, ["batch", "n", 4]),
        helper.make_tensor_value_info("scores", kinds.FLOAT, ["batch", "n"]),
        helper.make_tensor_value_info("counts", kinds.INT64, ["batch"]),
    ]
    initializers = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    if nms:  # "nms_iou" only takes part so that it is an input; "top" cuts
        inputs += [
            helper.make_tensor_value_info("nms_iou", kinds.FLOAT, [1]),
            helper.make_tensor_value_info("top", kinds.INT64, [1]),
        ]
        initializers += [
            onnx.numpy_helper.from_array(np.array([0.6], np.float32), "nms_iou"),
            onnx.numpy_helper.from_array(np.array([5]), "top"),
        ]
        nodes += [
            helper.make_node("Sub", ["nms_iou", "nms_iou"], ["nothing"]),
            helper.make_node("Add", ["boxes", "nothing"], [output]),
            helper.make_node("Identity", ["some_scores"], ["scores"]),
            helper.make_node("Min", ["some_counts", "top"], ["counts"]),
        ]
    else:
        outputs.insert(2, helper.make_tensor_value_info("levels", kinds.INT64, ["batch", "n"]))
        nodes += [
            helper.make_node("Identity", ["boxes"], [output]),
            helper.make_node("Identity", ["some_scores"], ["scores"]),
            helper.make_node("Identity", ["some_levels"], ["levels"]),
            helper.make_node("Identity", ["some_counts"], ["counts"]),
        ]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    if metadata is not None:
        helper.set_model_props(model, {METADATA_KEY: metadata})
    onnx.save(model, path)


@pytest.mark.parametrize("nms", [True, False])
def test_a_model_file_describes_itself(tmp_path: Path, nms: bool) -> None:
    _save_model(tmp_path / "tiny.onnx", nms=nms)
    propose = loading.load(tmp_path / "tiny.onnx", threads=1)
    assert propose.description == DESCRIPTION
    found = propose(np.zeros((100, 300, 3), np.uint8))  # resized to 21 x 64: the long side is capped
    np.testing.assert_allclose(found.boxes_xyxy, [[0, 0, 150, 50], [0, 0, 300, 100]], rtol=1e-6)
    np.testing.assert_allclose(found.scores, [0.9, 0.5])
    assert found.size_hw == (100, 300)
    for options in ({"top": 1}, {"score": 0.6}):
        fewer = loading.load(tmp_path / "tiny.onnx", **options)(np.zeros((100, 300, 3), np.uint8))
        np.testing.assert_allclose(fewer.scores, [0.9])


def test_the_default_model_is_read_from_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _save_model(tmp_path / "default.onnx")
    monkeypatch.setattr(loading.resources, "files", lambda package: tmp_path)
    assert loading.load().description == DESCRIPTION
    assert loading.load("default").description == DESCRIPTION


def test_candidates_of_one_size_after_another(tmp_path: Path) -> None:
    _save_model(tmp_path / "tiny.onnx", nms=False)
    engine = open_graph(tmp_path / "tiny.onnx", "tiny")
    assert isinstance(engine, GraphEngine)
    for height, width in ((1, 1), (7, 5)):
        found = engine.candidates(np.zeros((height, width, 3), np.uint8))
        expected = np.float32([[0, 0, width / 2, height / 2], [0, 0, width, height]])
        np.testing.assert_array_equal(found.boxes_xyxy, expected)
        assert found.levels.tolist() == [0, 1]


def test_a_graph_that_is_not_ours_tells_what_was_found(tmp_path: Path) -> None:
    path = tmp_path / "other.onnx"
    _save_model(path, output="detections")
    with pytest.raises(
        InputError, match=r"\[pixels uint8 \(batch, height, width, 3\), .*detections, scores, counts.*expected"
    ) as caught:
        loading.load(path)
    assert str(path) in str(caught.value)
    _save_model(path, metadata=None)
    with pytest.raises(InputError, match="metadata key 'objectness'"):
        loading.load(path)


@pytest.mark.parametrize("content", [b"hi", b"\x08\x07", b"x" * 1000])
def test_a_file_that_is_no_onnx_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"no\.onnx: is damaged, or no ONNX model") as caught:
        loading.load(path)
    assert "\n" not in str(caught.value)


def test_a_truncated_model(tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    _save_model(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"cut\.onnx: is damaged"):
        loading.load(path)


def test_devices(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    (tmp_path / "any.onnx").write_bytes(b"x")
    with pytest.raises(InputError, match="'tpu' is unknown; known are cpu and cuda"):
        loading.load(tmp_path / "any.onnx", device="tpu")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(InputError, match="onnxruntime-gpu"):
            loading.load(tmp_path / "any.onnx", device="cuda")


@pytest.mark.parametrize(("opset", "ir_version"), [(17, 99), (99, 9)])
def test_a_model_that_is_too_new_says_what_to_upgrade(tmp_path: Path, opset: int, ir_version: int) -> None:
    path = tmp_path / "new.onnx"
    _save_model(path, opset=opset, ir_version=ir_version)
    with pytest.raises(
        InputError, match=r"new\.onnx: was made for a newer ONNX Runtime.*pip install --upgrade"
    ) as caught:
        loading.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_bytes(b"no model"), "is damaged, or no ONNX model"),
        (lambda path: path.write_bytes(b""), "the model file is empty"),
        (lambda path: _save_model(path, output="detections"), "not one that `objectness export` wrote"),
        (lambda path: _save_model(path, ir_version=99), "newer ONNX Runtime"),
        (lambda path: _save_model(path, metadata="{}"), "its description is damaged"),
    ],
    ids=["no-onnx", "empty", "foreign", "too-new", "description"],
)
def test_the_command_line_says_it_in_one_sentence(tmp_path: Path, make: Any, words: str) -> None:
    make(tmp_path / "bad.onnx")
    result = CliRunner().invoke(app, ["propose", "any.jpg", "--model", str(tmp_path / "bad.onnx")])
    assert result.exit_code == 2
    Image.new("RGB", (4, 4)).save(tmp_path / "any.jpg")
    result = CliRunner().invoke(app, ["propose", str(tmp_path / "any.jpg"), "--model", str(tmp_path / "bad.onnx")])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"objectness: {tmp_path / 'bad.onnx'}: ")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_engine_settings() -> None:
    assert EngineSettings(threads=3).cores == 3
    assert EngineSettings().cores >= 1
    with pytest.raises(InputError, match=r"The engine 'onnxrun' is unknown: did you mean 'onnxruntime'\?"):
        EngineSettings(engine="onnxrun")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"The precision 'int4' is unknown"):
        EngineSettings(precision="int4")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "engine"), [("m.onnx", "torch"), ("m.xml", "onnxruntime"), ("m.safetensors", "openvino")]
)
def test_an_engine_that_cannot_run_the_file(tmp_path: Path, name: str, engine: Any) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=rf"{name}: .*(leave the engine to the file|export it first)"):
        loading.load(tmp_path / name, engine=engine)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_precision_that_would_be_ignored_is_refused(tmp_path: Path, precision: Any) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(InputError, match=rf"ONNX Runtime computes in .*asked for {precision}; only .* openvino can"):
        loading.load(precision=precision)
    (tmp_path / "m.safetensors").write_bytes(b"x")
    with pytest.raises(InputError, match=r"m\.safetensors: PyTorch computes in what the file holds"):
        loading.load(tmp_path / "m.safetensors", precision=precision)
    assert loading.load(precision="auto", top=3).description.name


def test_openvino_in_bf16_ranks_with_whole_logits() -> None:
    """In eight bits the logits of the model in the box left 112 of 300 scores of this photograph different."""
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    photo = Path(__file__).parents[1] / "examples/photos/astronaut.jpg"
    found = loading.load(engine="openvino", precision="bf16", top=300, threads=1)(photo)
    assert len(np.unique(found.scores)) > 290
    assert found.scores == pytest.approx(loading.load(top=300, threads=1)(photo).scores, abs=0.05)


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.2, 0.5, 0.7, 0.9, 1.0])
def test_a_threshold_in_float32_parts_the_same_overlaps(threshold: float) -> None:
    limit = float32_at_most(threshold)
    near = np.float32(threshold)
    for overlap in (np.nextafter(near, np.float32(0)), near, np.nextafter(near, np.float32(2))):
        assert (overlap > limit) == (float(overlap) > threshold)


def test_the_description_survives_a_round_trip() -> None:
    assert ModelDescription.from_json(DESCRIPTION.to_json(), "here") == DESCRIPTION


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 1}, "format is not 2, .*upgrade objectness"),
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
