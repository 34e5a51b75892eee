"""A run folder where PyTorch is not installed."""

from __future__ import annotations

import hashlib
import json
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectness.engines.checkpoint_file import weights_digest
from objectness.errors import InputError
from objectness.inference import loading

WEIGHTS = {
    "b.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a.count": np.array(7),
    "n": np.zeros(0, np.float16),
}
KINDS = {"float32": "F32", "int64": "I64", "float16": "F16"}


def checkpoint(path: Path, weights: dict[str, np.ndarray[Any, Any]], **changes: Any) -> Path:
    """A .safetensors file."""
    header: dict[str, Any] = {"__metadata__": {"objectness": "{}"}}
    held = b""
    for name, values in weights.items():
        offsets = [len(held), len(held) + values.nbytes]
        header[name] = {
            "dtype": KINDS[str(values.dtype)],
            "shape": list(values.shape),
            "data_offsets": offsets,
            **changes,
        }
        held += values.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + held)
    return path


def digest_of(weights: dict[str, np.ndarray[Any, Any]]) -> str:
    digest = hashlib.sha256()
    for name, values in sorted(weights.items()):
        digest.update(f"{name} {values.dtype} {values.shape}\n".encode() + values.tobytes())
    return digest.hexdigest()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder with a best checkpoint and the file that was exported from it."""
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx", reason="the graph is changed with the onnx package (extra train)")
    checkpoint(tmp_path / "best.safetensors", WEIGHTS)
    model = onnx.load_from_string((resources.files("objectness.models") / "default.onnx").read_bytes())
    described = json.loads(model.metadata_props[0].value)
    described |= {"name": "mine", "weights_sha256": digest_of(WEIGHTS)}
    onnx.helper.set_model_props(model, {"objectness": json.dumps(described)})
    onnx.save(model, tmp_path / "best.onnx")

    for module in list(sys.modules):
        if module == "objectness.inference.torch_engine" or module.partition(".")[0] == "torch":
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torch", None)
    return tmp_path


def test_the_digest_is_that_of_an_export(tmp_path: Path) -> None:
    assert weights_digest(checkpoint(tmp_path / "a.safetensors", WEIGHTS)) == digest_of(WEIGHTS)
    backwards = dict(reversed(WEIGHTS.items()))
    assert weights_digest(checkpoint(tmp_path / "b.safetensors", backwards)) == digest_of(WEIGHTS)


def test_without_pytorch_a_run_folder_stands_for_the_file_that_was_exported_from_it(run: Path) -> None:
    for name in (run, run / "best.safetensors"):
        assert loading.load(name, threads=1).description.name == "mine"


def test_a_file_that_was_exported_from_other_weights_is_not_taken(run: Path) -> None:
    checkpoint(run / "best.safetensors", {**WEIGHTS, "a.count": np.array(8)})
    with pytest.raises(InputError, match=r"needs PyTorch .*\(best\.onnx beside it was exported from other weights\)"):
        loading.load(run)


def test_without_an_exported_file_the_sentence_says_how_to_make_one(run: Path) -> None:
    (run / "best.onnx").unlink()
    with pytest.raises(InputError, match=r"needs PyTorch .*the \.onnx file that `objectness export` makes of it\.$"):
        loading.load(run)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 8,
        b"\x02" + bytes(7) + b"{]",
        b"\x02" + bytes(7) + b"[]",
        (200_000).to_bytes(8, "little") + b"[" * 200_000,
        (11).to_bytes(8, "little") + b'{"a": [12]}',
    ],
)
def test_a_damaged_checkpoint_has_no_digest(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.safetensors"):
        weights_digest(tmp_path / "bad.safetensors")


@pytest.mark.parametrize(
    "changes", [{"data_offsets": [0, 10**9]}, {"shape": [10**30]}, {"dtype": "F3"}, {"shape": "x"}]
)
def test_tensors_outside_the_file_have_no_digest(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a readable safetensors file"):
        weights_digest(checkpoint(tmp_path / "bad.safetensors", WEIGHTS, **changes))
