from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from objectness.engines import Candidates, ModelDescription, RankedBoxes
from objectness.engines.candidates import select
from objectness.inference import loading
from objectness.speed import work

Run = Callable[..., Result]


class One:
    """An engine that proposes one box."""

    description = ModelDescription("one", short_side=20, long_side=30)
    device = "cpu"

    def candidates(self, pixels: np.ndarray) -> Candidates:
        return Candidates(np.float32([[0, 0, 5, 5]]), np.float32([0.5]), np.zeros(1, np.int64))

    def propose(self, pixels: np.ndarray, **limits: Any) -> RankedBoxes:
        return select(self.candidates(pixels), pixels.shape[:2], **limits)


@pytest.fixture
def run(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(work, "machine_gflops", lambda threads: 40.0 + threads)
    return partial(run, "benchmark")


@pytest.mark.slow
def test_the_model_in_the_box_as_json(run: Run) -> None:
    pytest.importorskip("onnxruntime")
    result = run("--rounds", "1", "--threads", "1", "--top", "7", "--json", "--quiet")
    assert result.exit_code == 0
    assert result.stderr == ""
    told = json.loads(result.stdout)
    assert (told["photos"], told["rounds"], told["threads"], told["machine GFLOP/s"]) == (0, 1, 1, 41)
    (model,) = told["models"]
    assert model["model"] == "default"
    parts = model["milliseconds"]
    assert parts["proposals"] == 7
    assert 0 < parts["reading"] < parts["total"]
    assert parts["total"] == pytest.approx(parts["reading"] + parts["network"])
    assert model["work"]["flops"] > 1e9


def test_models_that_are_no_graph_have_no_arithmetic(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_open_engine", lambda *_: One())
    Image.new("RGB", (30, 20)).save("photo.png")
    result = run("runs/a", "runs/b", "--photos", "photo.png", "--rounds", "1", "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert [(row["model"], row["work"]) for row in told["models"]] == [("runs/a", None), ("runs/b", None)]
    assert (told["photos"], told["machine GFLOP/s"]) == (1, None)
    assert result.stderr.startswith("Medians of photos: 1; rounds: 1;")
    assert result.stderr.count("\n") == 1


def test_a_table_for_people(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_open_engine", lambda *_: One())
    result = run("runs/a", "--rounds", "1", "--quiet")
    assert result.exit_code == 0
    assert "runs/a" in result.stdout
    assert "GFLOP" not in result.stdout
    assert result.stderr == ""


def test_arithmetic_is_told_of_what_onnx_runtime_runs_only(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of ONNX Runtime beside a model that OpenVINO ran would say nothing of it."""
    monkeypatch.setattr(loading, "_open_engine", lambda *_: One())
    result = run("default", "--engine", "openvino", "--rounds", "1", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["models"][0]["work"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no.onnx"], r"no.onnx: there is no such model file"),
        (["default", "no.onnx"], r"no.onnx: there is no such model file"),
        (["empty"], r"empty: is a folder without best.safetensors"),
        (["text.onnx"], r"text.onnx: is damaged, or no ONNX model"),
        (["--photos", "empty"], "there is no photograph in this folder"),
        (["--photos", "damaged.jpg", "--rounds", "1"], "damaged.jpg: is not an image"),
        (["--engine", "onnx"], "The engine 'onnx' is unknown"),
        (["--threads", "100000"], "threads is 100000"),
    ],
)
def test_one_sentence_says_what_is_wrong(run: Run, tmp_path: Path, arguments: list[str], words: str) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.onnx").write_text("no model")
    (tmp_path / "damaged.jpg").write_text("no photograph")
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("objectness: ")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_at_another_size_nothing_is_counted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: set[tuple[int, ...]] = set()

    class Watched(One):
        def candidates(self, pixels: np.ndarray) -> Candidates:
            sizes.add(pixels.shape[:2])
            return super().candidates(pixels)

    monkeypatch.setattr(loading, "_open_engine", lambda *_: Watched())
    Image.new("RGB", (300, 200)).save("photo.png")
    result = run("--photos", "photo.png", "--rounds", "1", "--size", "100", "--json", "--quiet")
    assert json.loads(result.stdout)["models"][0]["work"] is None
    assert sizes == {(100, 150)}
