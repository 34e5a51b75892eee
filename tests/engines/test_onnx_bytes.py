"""Bytes of ONNX files taken apart by hand: fields written here from the protobuf encoding, and the bundled model."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from objectness.engines import EngineSettings
from objectness.engines.onnx_bytes import fields, float_constants, network_alone, value_names
from objectness.engines.onnx_runtime import open_onnx
from objectness.errors import InputError
from objectness.inference.model_files import bundled_model


def message(number: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def node(inputs: str, output: str, inner: str = "") -> bytes:
    """A node of a graph, with a graph of one node inside it where ``inner`` names what that one reads."""
    found = b"".join(message(1, name.encode()) for name in inputs.split()) + message(2, output.encode())
    if inner:
        found += message(5, message(1, b"body") + message(6, message(1, message(1, inner.encode()))))
    return message(1, found)


def constant(name: str, *values: float, shape: tuple[int, ...] = ()) -> bytes:
    raw = np.array(values, "<f4").tobytes()
    dims = b"".join(bytes([0x08, side]) for side in shape)
    return message(5, dims + b"\x10\x01" + message(8, name.encode()) + message(9, raw))


GRAPH = (
    node("pixels weight", "maps"),
    node("maps", "unused"),
    node("maps limits", "boxes", inner="hidden"),
    constant("weight", 1, 2, shape=(2,)),
    constant("limits", 3, shape=(1,)),
    constant("hidden", 4, shape=(1,)),
    message(11, message(1, b"pixels")),
    message(11, message(1, b"top")),
    message(12, message(1, b"boxes")),
)
MODEL = b"\x08\x0a" + message(7, b"".join(GRAPH[:4])) + message(14, b"kept") + message(7, b"".join(GRAPH[4:]))


def test_fields_of_every_kind() -> None:
    data = b"\x08\x96\x01" + b"\x11" + bytes(8) + b"\x1a\x02hi" + b"\x25" + bytes(4)
    found = [(field.number, field.content) for field in fields(memoryview(data))]
    assert found == [(1, 150), (2, bytes(8)), (3, b"hi"), (4, bytes(4))]
    assert b"".join(field.whole for field in fields(memoryview(data))) == data
    assert list(fields(memoryview(b""))) == []


@pytest.mark.parametrize("data", [b"\x08", b"\x08\x80", b"\x0a\x05hi", b"\x11\x00", b"\x0b", b"\x0f", b"\xff" * 11])
def test_bytes_that_are_no_message(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut|beyond the end|unknown wire type"):
        list(fields(memoryview(data)))


def parts(model: bytes) -> tuple[list[tuple[int, Any]], list[bytes]]:
    """The fields of a model beside its graph, and those of the graph in full."""
    own = list(fields(memoryview(model)))
    graph = next(field.content for field in own if field.number == 7)
    assert isinstance(graph, memoryview)
    return [(field.number, field.content) for field in own if field.number != 7], [
        bytes(f.whole) for f in fields(graph)
    ]


def test_what_other_outputs_do_not_need_is_left_out() -> None:
    rest, graph = parts(network_alone(MODEL, ["maps"], "here", keep="pixels"))
    assert rest == [(1, 10), (14, b"kept")]
    kind = message(2, message(1, b"\x08\x01"))  # float32
    assert graph == [GRAPH[0], GRAPH[3], GRAPH[6], message(12, message(1, b"maps") + kind)]


def test_what_a_graph_inside_a_node_reads_is_kept() -> None:
    _, graph = parts(network_alone(MODEL, ["boxes", "maps"], "here", keep="pixels"))
    assert graph[:6] == [GRAPH[0], GRAPH[2], *GRAPH[3:6], GRAPH[6]]


def test_names_and_constants() -> None:
    assert value_names(MODEL, "here") == {"maps", "unused", "boxes"}
    found = float_constants(MODEL, ["weight", "hidden", "absent"], "here")
    assert {name: value.tolist() for name, value in found.items()} == {"weight": [1, 2], "hidden": [4]}


def test_a_value_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"here: its graph has no value named logits_0, .*export it again"):
        network_alone(MODEL, ["logits_0", "maps"], "here", keep="pixels")


@pytest.mark.parametrize(
    "tensor",
    [
        b"\x08\x03" + b"\x10\x01" + message(8, b"weight") + message(9, bytes(8)),  # three numbers in eight bytes
        b"\x08\x02" + b"\x10\x07" + message(8, b"weight") + message(9, bytes(8)),  # whole numbers
        b"\x08\x02" + b"\x10\x01" + message(8, b"weight"),
        b"\x08" + b"\xff" * 9 + b"\x01" + b"\x10\x01" + message(8, b"weight") + message(9, bytes(8)),
    ],
    ids=["short", "kind", "empty", "negative"],
)
def test_a_constant_that_holds_something_else(tensor: bytes) -> None:
    with pytest.raises(InputError, match=r"here: is damaged.*no array of float32"):
        float_constants(message(7, message(5, tensor)), ["weight"], "here")


def test_cut_and_changed_bytes_end_in_a_sentence_or_in_a_smaller_model() -> None:
    refusals = []
    changed = [MODEL[:end] for end in range(len(MODEL))]
    changed += [
        MODEL[:at] + bytes([MODEL[at] ^ flip]) + MODEL[at + 1 :] for at in range(len(MODEL)) for flip in (1, 255)
    ]
    for model in changed:
        for read in (
            lambda model: network_alone(model, ["maps"], "here", keep="pixels"),
            lambda model: float_constants(model, ["weight"], "here"),
            lambda model: value_names(model, "here"),
        ):
            try:
                read(model)
            except InputError as error:  # and nothing else
                refusals.append(str(error))
    assert len(refusals) > len(changed)
    assert all(words.startswith("here: ") for words in refusals)


def test_graphs_nested_without_end_are_refused() -> None:
    inner = message(1, b"x")
    for _ in range(20):
        inner = _long(1, _long(5, _long(6, inner)))
    with pytest.raises(InputError, match="nested too deeply"):
        network_alone(_long(7, _long(1, _long(5, _long(6, inner)))), ["x"], "here", keep="pixels")


def _long(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content) & 127 | 128, len(content) >> 7]) + content


def test_the_bundled_model_runs_without_a_word_as_its_network_alone(tmp_path: Any) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    names = ["logits_0", "deltas_0", "anchors_0", "detail_0"]
    cut = network_alone(bundled_model(), names, "here", keep="pixels")
    assert len(cut) < len(bundled_model()) - 300_000  # the second stage is not in it
    session = onnxruntime.InferenceSession(cut)
    assert [value.name for value in session.get_inputs()] == ["pixels"]
    assert [value.name for value in session.get_outputs()] == names
    (tmp_path / "cut.onnx").write_bytes(cut)
    script = "import onnxruntime, sys; onnxruntime.InferenceSession(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "cut.onnx")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_file_that_was_damaged_after_it_was_opened(tmp_path: Any) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(bundled_model())
    engine = open_onnx(file, str(file), EngineSettings(threads=1))
    file.write_bytes(bundled_model()[:-100_000])
    with pytest.raises(InputError, match=r"model\.onnx: (is damaged|its graph has no value)"):
        engine.dense()
