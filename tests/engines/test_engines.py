from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from objectness.cli import app
from objectness.engines import (
    METADATA_KEY,
    EngineSettings,
    GraphEngine,
    ModelDescription,
    float32_at_most,
)
from objectness.engines.graph import CANDIDATE_OUTPUTS, INPUT, NMS_INPUT, PROPOSAL_OUTPUTS, TOP_INPUT, GraphSignature
from objectness.engines.onnx_runtime import open_onnx, with_limits_as_inputs
from objectness.errors import InputError
from objectness.inference import loading, model_files

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
    monkeypatch.setattr(model_files.resources, "files", lambda package: tmp_path)
    assert loading.load().description == DESCRIPTION
    assert loading.load("default").description == DESCRIPTION


def test_the_bundled_model_opens_in_plain_onnx_runtime_without_a_word() -> None:
    pytest.importorskip("onnxruntime")
    code = (
        "import objectness, onnxruntime, numpy; from importlib import resources;"
        "model = (resources.files('objectness.models') / 'default.onnx').read_bytes();"
        "session = onnxruntime.InferenceSession(model);"
        "boxes, scores, counts = session.run(None, {'pixels': numpy.zeros((1, 32, 32, 3), numpy.uint8)});"
        "print(session.get_modelmeta().version, boxes.shape, [value.name for value in session.get_inputs()])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 (1, 300, 4) ['pixels']\n", "")


@pytest.mark.slow
def test_thresholds_that_are_constants_of_a_file_can_still_be_asked_for() -> None:
    onnx = pytest.importorskip("onnx", reason="the extra train is not installed")
    model = model_files.bundled_model()
    opened = onnx.load_from_string(with_limits_as_inputs(model))
    onnx.checker.check_model(opened)
    declared = {value.name: value.type.tensor_type for value in opened.graph.input}
    constants = {constant.name: constant for constant in opened.graph.initializer}
    assert list(declared) == ["pixels", "nms_iou", "top"]
    for name in ("nms_iou", "top"):
        assert declared[name].elem_type == constants[name].data_type
        assert [side.dim_value for side in declared[name].shape.dim] == list(constants[name].dims) == [1]
    assert with_limits_as_inputs(opened.SerializeToString()) == opened.SerializeToString()  # as older versions wrote
    photo = Path(__file__).parents[2] / "examples/photos/astronaut.jpg"
    whole, fewer = (loading.load(threads=1, top=top)(photo) for top in (700, 20))
    assert (len(whole), len(fewer)) == (700, 20)
    np.testing.assert_array_equal(fewer.boxes_xyxy, whole.boxes_xyxy[:20])
    apart = loading.load(threads=1, top=300, nms=0.3)(photo).boxes_xyxy
    np.testing.assert_array_equal(apart[0], whole.boxes_xyxy[0])
    assert not np.array_equal(apart, whole.boxes_xyxy[: len(apart)])  # near-copies are gone


def test_candidates_of_one_size_after_another(tmp_path: Path) -> None:
    _save_model(tmp_path / "tiny.onnx", nms=False)
    engine = open_onnx(tmp_path / "tiny.onnx", "tiny", EngineSettings())
    for height, width in ((1, 1), (7, 5)):
        found = engine.candidates(np.zeros((1, height, width, 3), np.uint8))[0]
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


def test_names_that_are_not_utf8_end_in_a_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "odd.onnx"
    _save_model(path)
    path.write_bytes(path.read_bytes().replace(b"pixels", b"pi\xf0els"))
    with pytest.raises(InputError, match=r"odd\.onnx: is damaged, or no ONNX model"):
        loading.load(path)
    assert capfd.readouterr() == ("", "")


def test_devices(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    (tmp_path / "any.onnx").write_bytes(b"x")
    with pytest.raises(InputError, match="'tpu' is unknown; known are cpu and cuda"):
        loading.load(tmp_path / "any.onnx", device="tpu")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        advice = "pip uninstall onnxruntime, then pip install onnxruntime-gpu"
        with pytest.raises(InputError, match=f"The device cuda needs ONNX Runtime for GPUs.*{advice}"):
            loading.load(tmp_path / "any.onnx", device="cuda")


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_device_that_cannot_be_started_is_refused_and_not_replaced_by_the_processor(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    available = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)  # as onnxruntime-gpu without a GPU
    with pytest.raises(InputError, match=rf"^The device {device} cannot be used: .*or take cpu\.$"):
        loading.load(device=device)


@pytest.mark.slow
def test_engines_say_what_they_run_on(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    assert loading.load(threads=1).device == "cpu"
    if find_spec("openvino"):
        for device in ("cpu", "auto"):
            assert loading.load(engine="openvino", device=device, threads=1).device == "cpu"
        with pytest.raises(InputError, match=r"The device 'npu' is not known to OpenVINO here; it has cpu"):
            loading.load(engine="openvino", device="npu")


@pytest.mark.slow
def test_the_device_is_in_the_table_and_in_the_document(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "any.jpg")
    arguments = ["propose", str(tmp_path / "any.jpg"), "--no-pictures", "--out", str(tmp_path)]
    assert "ms on cpu" in CliRunner().invoke(app, arguments).stdout
    assert json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)["device"] == "cpu"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "boxes_xyxy",
            np.zeros((1, 2, 5), np.float32),
            r"boxes_xyxy as float32 \(1, 2, 5\), expected float32 \(1, N, 4\)",
        ),
        ("boxes_xyxy", np.zeros((2, 4), np.float32), r"boxes_xyxy as float32 \(2, 4\)"),
        ("boxes_xyxy", np.zeros((1, 2, 4), np.float64), r"boxes_xyxy as float64"),
        ("boxes_xyxy", np.zeros((1, 3, 4), np.float32), "do not belong together"),
        ("boxes_xyxy", [1, 2], "no array as boxes_xyxy"),
        ("scores", np.zeros((3, 2), np.float32), r"scores as float32 \(3, 2\), expected float32 \(1, N\)"),
        ("scores", np.array([["a", "b"]]), "scores as <U1"),
        ("counts", np.zeros((1, 1), np.int64), r"counts as int64 \(1, 1\), expected int64 \(1,\)"),
        ("counts", np.array([1.5], np.float32), "counts as float32"),
        ("counts", np.array([3]), "do not belong together"),
        ("counts", np.array([-1]), "do not belong together"),
        ("levels", np.zeros((1, 2), np.float32), "levels as float32"),
    ],
)
def test_outputs_that_are_not_what_they_are_called_end_in_a_sentence(name: str, value: Any, words: str) -> None:
    given = {
        "boxes_xyxy": np.array([[[0, 0, 1, 1], [0, 0, 2, 2]]], np.float32),
        "scores": np.array([[0.9, 0.5]], np.float32),
        "levels": np.zeros((1, 2), np.int64),
        "counts": np.array([2]),
        name: value,
    }

    def run(inputs: Any, outputs: Any) -> list[Any]:
        return [given[output] for output in outputs]

    def opened(*outputs: str) -> GraphEngine:
        inputs = {INPUT: "uint8 (1)"} | ({} if "levels" in outputs else {NMS_INPUT: "float", TOP_INPUT: "int64"})
        return GraphEngine(run, GraphSignature(inputs, outputs, DESCRIPTION.to_json()), "cpu", "odd")

    pixels = np.zeros((1, 8, 8, 3), np.uint8)
    with pytest.raises(InputError, match=words):
        opened(*CANDIDATE_OUTPUTS).candidates(pixels)
    if name != "levels":
        with pytest.raises(InputError, match=words):
            opened(*PROPOSAL_OUTPUTS).batch(pixels, nms=0.5, top=5)


def test_metadata_nested_too_deeply_ends_in_a_sentence(tmp_path: Path) -> None:
    _save_model(tmp_path / "deep.onnx", metadata="[" * 200_000)
    with pytest.raises(InputError, match=r"deep\.onnx: its description is not JSON .*nested too deeply"):
        loading.load(tmp_path / "deep.onnx")


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("location", ["weights.bin", "../secret.bin", "/dev/zero"])
def test_weights_in_other_files_are_not_opened(tmp_path: Path, location: str, engine: Any) -> None:
    onnx = pytest.importorskip("onnx", reason="the graph is built with the onnx package (extra train)")
    pytest.importorskip(engine)
    path = tmp_path / "model" / "outside.onnx"
    path.parent.mkdir()
    for folder in (tmp_path, path.parent):
        for name in ("weights.bin", "secret.bin"):
            (folder / name).write_bytes(bytes(1 << 12))
    _save_model(path)
    model = onnx.load(path)
    tensor = next(constant for constant in model.graph.initializer if constant.name == "parts")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "32")):
        tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=r"outside\.onnx: keeps its weights in other files, which are not opened"):
        loading.load(path, engine=engine)


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".safetensors"])
def test_a_pipe_is_no_model(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"pipe{suffix}")
    with pytest.raises(InputError, match=f"pipe{suffix}"):
        loading.load(tmp_path / f"pipe{suffix}")


@pytest.mark.parametrize(("opset", "ir_version"), [(17, 99), (99, 9)])
def test_a_model_that_is_too_new_says_what_to_upgrade(tmp_path: Path, opset: int, ir_version: int) -> None:
    path = tmp_path / "new.onnx"
    _save_model(path, opset=opset, ir_version=ir_version)
    with pytest.raises(InputError, match=r"new\.onnx: was made for a newer ONNX Runtime.*pip install -U") as caught:
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


@pytest.mark.slow
def test_openvino_in_bf16_ranks_with_whole_logits() -> None:
    """In eight bits the logits of the bundled model left 112 of 300 scores of this photograph different."""
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    photo = Path(__file__).parents[2] / "examples/photos/astronaut.jpg"
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
        ({"top": 10**30}, "damaged"),
        ({"short_side": 20_000}, "damaged"),
        ({"long_side": 1e400}, "damaged"),
        ({"nms_iou": 1.5}, "damaged"),
    ],
)
def test_descriptions_that_cannot_be_used(change: dict[str, Any], words: str) -> None:
    text = json.dumps({**json.loads(DESCRIPTION.to_json()), **change})
    with pytest.raises(InputError, match=f"here: .*{words}"):
        ModelDescription.from_json(text, "here")


@pytest.mark.parametrize("text", ["", "[1]", "{}", "null"])
def test_descriptions_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match=r"here: its description is (damaged|not valid JSON)"):
        ModelDescription.from_json(text, "here")
