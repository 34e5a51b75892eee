from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from objectness.engines import (
    ModelDescription,
    RankedBoxes,
)
from objectness.errors import InputError
from objectness.export.export_model import Sources, export_model
from objectness.export.settings import ExportSettings
from objectness.export.verification import share_lost
from objectness.inference.loading import load

PHOTO = Path(__file__).parents[2] / "examples" / "photos" / "coffee.jpg"


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = []
    for number in range(4):
        blocks = np.kron(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8))
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(blocks).save(paths[-1])
    return paths


def test_half_precision_halves_the_file_and_keeps_the_boxes(exported: Any, tmp_path: Path) -> None:
    report = export_model(exported.checkpoint, tmp_path / "half.onnx", ExportSettings(precision="fp16"))
    assert report.target.stat().st_size < 0.6 * exported.target.stat().st_size
    assert [found.images for found in report.changed] == [1, 2]
    assert max(found.score for found in report.changed) < 0.02
    whole, half = load(exported.target)(PHOTO), load(report.target)(PHOTO)
    assert half.scores == pytest.approx(whole.scores, abs=0.02)
    assert half.boxes_xyxy[0] == pytest.approx(whole.boxes_xyxy[0], abs=3)
    assert load(report.target).description.details["precision"] == "fp16"


def test_int8_is_made_with_the_user_s_photographs(exported: Any, tmp_path: Path, photos: list[Path]) -> None:
    onnx = pytest.importorskip("onnx")
    settings = ExportSettings(precision="int8")
    with pytest.raises(InputError, match=r"int8 needs photographs .*a folder of them"):
        export_model(exported.checkpoint, tmp_path / "small.onnx", settings)
    report = export_model(exported.checkpoint, tmp_path / "small.onnx", settings, Sources(photos=photos))
    assert report.lost is not None
    assert 0 <= report.lost <= settings.most_lost
    kinds = [node.op_type for node in onnx.load(report.target).graph.node]
    assert kinds.count("QuantizeLinear") >= kinds.count("Conv") - 1
    # Weights of random networks suffer in 8 bits; that boxes stay near is a matter of average recall on real ones.
    assert len(load(report.target)(PHOTO)) > 20


class Fixed:
    """A ranker that gives the same boxes of every image."""

    description = ModelDescription("fixed", short_side=20, long_side=30)
    device = "cpu"

    def __init__(self, *boxes_xyxy: list[float]) -> None:
        self.boxes_xyxy = np.array(boxes_xyxy, np.float32).reshape(-1, 4)

    def propose(self, pixels: np.ndarray, *, nms: float, top: int) -> RankedBoxes:
        return RankedBoxes(self.boxes_xyxy[:top], np.linspace(1, 0.5, len(self.boxes_xyxy), dtype=np.float32)[:top])


def test_a_quantisation_that_loses_too_much_is_refused() -> None:
    whole = Fixed([0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10])
    small = Fixed([0, 0, 10, 5], [20, 0, 30, 4], [41, 0, 51, 10], [90, 0, 99, 9])  # IoU .5, .4, 9/11 and 0
    images = [np.zeros((20, 30, 3), np.uint8)] * 3
    assert share_lost(whole, small, images, 0.5, "x.onnx") == 0.5
    with pytest.raises(InputError, match=r"x\.onnx was not written: .* 50% are lost in int8 \(at most 40%"):
        share_lost(whole, small, images, 0.4, "x.onnx")
    assert share_lost(Fixed(), small, images, 0.0, "x.onnx") == 0
    assert share_lost(whole, Fixed(), images, 1.0, "x.onnx") == 1
