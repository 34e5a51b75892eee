from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from objectness.cli import app
from objectness.errors import InputError
from objectness.export.export_model import export_model
from objectness.export.settings import ExportSettings
from objectness.inference.loading import load


def test_the_command_line(exported: Any, tmp_path: Path) -> None:
    out = tmp_path / "new" / "mine.onnx"
    result = CliRunner().invoke(
        app, ["export", str(exported.checkpoint), "--out", str(out), "--licence", "MIT", "--json"]
    )
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["files"] == [str(out)]
    assert document["bytes"] == out.stat().st_size
    assert [found["images"] for found in document["agreement"]] == [1, 2]
    assert document["calibration"] is None
    assert "Scores stay as the network gives them, not calibrated (" in result.stderr
    assert "--calibrate" in result.stderr
    told = [line for line in result.stderr.splitlines() if "graph 1 of 2" in line or "graph 2 of 2" in line]
    assert len(told) == 2, "minutes must not pass without a word"
    assert load(out).description.details["licence"] == "MIT"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing.safetensors",), "missing.safetensors: there is no such model file"),
        (("{checkpoint}", "--out", "mine.xml"), "--out mine.xml must end in .onnx."),
        (("{checkpoint}", "--out", "mine.onnx", "--format", "openvino"), "--out mine.onnx must end in .xml."),
        (("{checkpoint}", "--out", "mine.onnx", "--precision", "int8"), "int8 needs photographs"),
        (("{checkpoint}", "--out", "mine.onnx", "--calibrate", "nowhere"), "nowhere"),
    ],
)
def test_wrong_use_of_the_command_line(
    exported: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [argument.format(checkpoint=exported.checkpoint) for argument in arguments]
    result = CliRunner().invoke(app, ["export", *given])
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (ExportSettings(), "best.onnx"),
        (ExportSettings(precision="int8"), "best.int8.onnx"),
        (ExportSettings(precision="fp16", nms=False), "best.fp16.candidates.onnx"),
        (ExportSettings(format="openvino", precision="fp16"), "best.fp16.xml"),
    ],
)
def test_files_of_one_checkpoint_have_names_of_their_own(settings: ExportSettings, name: str) -> None:
    assert Path("best.safetensors").with_suffix(settings.variant + settings.suffix).name == name


def test_another_precision_does_not_replace_the_file_and_the_same_one_says_so(exported: Any, tmp_path: Path) -> None:
    checkpoint = tmp_path / "best.safetensors"
    checkpoint.write_bytes(exported.checkpoint.read_bytes())
    first = tmp_path / "best.onnx"
    first.write_bytes(b"of before")
    run = ["export", str(checkpoint), "--calibrate", "none"]
    result = CliRunner().invoke(app, [*run, "--precision", "fp16"])
    assert result.exit_code == 0, result.output
    assert first.read_bytes() == b"of before"
    assert load(tmp_path / "best.fp16.onnx").description.details["precision"] == "fp16"
    assert "will be replaced" not in result.stderr
    result = CliRunner().invoke(app, run)
    assert result.exit_code == 0, result.output
    assert f"{first} is there already, and will be replaced." in " ".join(result.stderr.split())
    assert load(first).description.details["precision"] == "fp32"


@pytest.mark.parametrize(("name", "content"), [("0.xml", "<annotation/>"), ("0.bin", "other weights")])
def test_an_openvino_file_does_not_replace_what_is_none(exported: Any, tmp_path: Path, name: str, content: str) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=rf"{name} is there and .*name another place"):
        export_model(exported.checkpoint, tmp_path / "0.xml", ExportSettings(format="openvino"))
    assert (tmp_path / name).read_text() == content
