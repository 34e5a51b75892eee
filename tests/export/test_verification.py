from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objectness.engines import (
    Candidates,
    GraphEngine,
)
from objectness.errors import InputError
from objectness.export.export_model import export_model
from objectness.export.verification import agreement
from objectness.inference.torch_engine import TorchEngine

Save = Callable[..., Path]


def test_a_graph_that_disagrees_is_not_written(
    save_checkpoint: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = save_checkpoint("single-level-softmax", tmp_path / "best.safetensors")
    honest = TorchEngine.candidates

    def shifted(self: TorchEngine, pixels: np.ndarray) -> Candidates:
        found = honest(self, pixels)
        return Candidates(found.boxes_xyxy + 1, found.scores, found.levels)

    monkeypatch.setattr(TorchEngine, "candidates", shifted)
    with pytest.raises(InputError, match="was not written: ONNX Runtime and PyTorch differ by"):
        export_model(checkpoint, tmp_path / "tiny.onnx")
    monkeypatch.undo()
    dishonest = GraphEngine.batch

    def tardy(self: GraphEngine, pixels: np.ndarray, *, nms: float, top: int) -> Any:
        return dishonest(self, pixels, nms=nms * 0.9, top=top)

    monkeypatch.setattr(GraphEngine, "batch", tardy)
    with pytest.raises(InputError, match=r"was not written: suppression at IoU 0\.7 inside the graph"):
        export_model(checkpoint, tmp_path / "tiny.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["best.safetensors"]


def test_agreement_by_hand() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 5, 9, 9]], dtype=np.float32)
    levels = np.zeros(2, dtype=np.int64)
    ours = Candidates(boxes, np.array([0.9, 0.4], dtype=np.float32), levels)
    theirs = Candidates(boxes[::-1] + 0.25, np.array([0.4, 0.8], dtype=np.float32), levels)
    found = agreement((1, 1), ours, theirs)
    assert (found.candidates, found.pixels) == (2, 0.25)
    assert found.score == pytest.approx(0.1)
    fewer = Candidates(boxes[:1], np.array([0.9], dtype=np.float32), levels[:1])
    assert agreement((1, 1), ours, fewer).pixels == float("inf")
    nothing = Candidates(boxes[:0], np.zeros(0, np.float32), levels[:0])
    assert agreement((1, 1), nothing, nothing).pixels == 0
