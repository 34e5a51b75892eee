from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from objectness.engines import EngineSettings
from objectness.engines.candidates import select
from objectness.engines.onnx_runtime import open_onnx
from objectness.export.export_model import export_model
from objectness.export.settings import ExportSettings
from objectness.export.verification import agreement
from objectness.inference.loading import load
from objectness.inference.torch_engine import open_checkpoint
from objectness.settings import override

PHOTO = Path(__file__).parents[2] / "examples" / "photos" / "coffee.jpg"
SIZES_HW = ((130, 470), (33, 31), (1, 1))
Save = Callable[..., Path]


def _images(size_hw: tuple[int, int], count: int = 1) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *size_hw, 3), dtype=np.uint8)


def test_the_graph_equals_the_network_on_other_sizes_than_it_was_traced_with(exported: Any) -> None:
    found = exported.report.agreements
    assert [(one.images, one.size_hw) for one in found] == [(1, (224, 320)), (2, (361, 257))]
    for one in found:
        assert one.candidates > 100
        assert one.pixels < 0.05
        assert one.score < 1e-4
    reference = open_checkpoint(exported.checkpoint, EngineSettings())
    for size_hw in SIZES_HW:
        pixels = _images(size_hw)[0]
        ours, theirs = reference.candidates(pixels), exported.candidates.candidates(pixels[None])[0]
        assert len(ours.scores) == len(theirs.scores) > 0
        assert agreement(size_hw, ours, theirs).pixels < 0.05


@pytest.mark.parametrize(("nms", "top"), [(0.7, 300), (0.3, 7), (0.0, 50), (1.0, 10_000)])
def test_suppression_inside_equals_suppression_outside(exported: Any, nms: float, top: int) -> None:
    for size_hw in SIZES_HW:
        pixels = _images(size_hw)[0]
        candidates = exported.candidates.candidates(pixels[None])[0]
        expected = select(candidates, size_hw, top=top, nms=nms)
        found = exported.engine.propose(pixels, nms=nms, top=top)
        np.testing.assert_array_equal(found.boxes_xyxy, expected.boxes_xyxy)
        np.testing.assert_array_equal(found.scores, expected.scores)


def test_each_image_of_a_batch_is_seen_as_if_it_were_alone(exported: Any) -> None:
    pixels = _images((97, 161), count=3)
    pixels[1] = 0
    for alone, together in zip(pixels, exported.engine.batch(pixels, nms=0.7, top=40), strict=True):
        one = exported.engine.propose(alone, nms=0.7, top=40)
        assert len(one.scores) == len(together.scores)
        np.testing.assert_allclose(together.scores, one.scores, atol=1e-5)
        np.testing.assert_allclose(together.boxes_xyxy, one.boxes_xyxy, atol=1e-2)
    for alone, candidates in zip(pixels, exported.candidates.candidates(pixels), strict=True):
        assert len(candidates.scores) == len(exported.candidates.candidates(alone[None])[0].scores)


def test_the_localization_quality_is_part_of_the_score(exported: Any) -> None:
    pixels = _images((130, 470))[0]
    reference = open_checkpoint(exported.checkpoint, EngineSettings())
    scores = exported.candidates.candidates(pixels[None])[0].scores
    has_quality = reference._network.settings.localization_quality.use != "none"
    reference._network.settings = override(reference._network.settings, ["localization_quality.use=none"])
    without = reference.candidates(pixels).scores
    assert has_quality != np.allclose(np.sort(scores), np.sort(without), atol=1e-3)


def test_of_equal_scores_the_graph_takes_those_that_pytorch_takes(exported: Any, tmp_path: Path) -> None:
    """Without weights before the scores all of a level are the same, and the cut is by index."""
    model = onnx.load(exported.target.parent / "candidates.onnx")
    (weight,) = (one for one in model.graph.initializer if one.name.endswith("head.objectness.weight"))
    weight.CopyFrom(onnx.numpy_helper.from_array(np.zeros(tuple(weight.dims), np.float32), weight.name))
    onnx.save(model, tmp_path / "equal.onnx")
    theirs = open_onnx(tmp_path / "equal.onnx", "equal", EngineSettings())
    ours = open_checkpoint(exported.checkpoint, EngineSettings())
    torch.nn.init.zeros_(ours._network.head.objectness.weight)
    pixels = _images((320, 416))[0]
    expected, found = ours.candidates(pixels), theirs.candidates(pixels[None])[0]
    assert len(found.scores) > 50
    np.testing.assert_array_equal(found.levels, expected.levels)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(found.boxes_xyxy, expected.boxes_xyxy, atol=0.05)


def test_a_photograph_of_one_black_pixel(exported: Any) -> None:
    found = load(exported.target)(np.zeros((1, 1, 3), np.uint8))
    assert found.size_hw == (1, 1)
    assert ((found.boxes_xyxy >= 0) & (found.boxes_xyxy <= 1)).all()


def test_nothing_found_is_an_empty_result(save_checkpoint: Save, tmp_path: Path) -> None:
    checkpoint = save_checkpoint("single-level-softmax", tmp_path / "best.safetensors", "rpn.select.min_size=5000")
    for nms in (True, False):
        export_model(checkpoint, tmp_path / "none.onnx", ExportSettings(nms=nms))
        found = load(tmp_path / "none.onnx")(PHOTO)
        assert found.boxes_xyxy.shape == (0, 4)
        assert found.scores.shape == (0,)


def test_both_engines_give_the_same_proposals_of_a_photograph(exported: Any) -> None:
    from_torch, from_onnx = load(exported.checkpoint)(PHOTO), load(exported.target)(PHOTO)
    assert from_torch.size_hw == from_onnx.size_hw == (400, 600)
    assert len(from_torch) == len(from_onnx) > 20
    assert from_onnx.scores == pytest.approx(from_torch.scores, abs=1e-4)
    assert from_onnx.boxes_xyxy[:10] == pytest.approx(from_torch.boxes_xyxy[:10], abs=0.2)
