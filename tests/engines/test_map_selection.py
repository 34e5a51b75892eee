"""From maps to candidates: by hand, beside PyTorch, and the bundled model's own proposals from its maps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from objectness.engines import EngineSettings, GraphEngine
from objectness.engines.candidates import select
from objectness.engines.dense import Geometry, Refinement
from objectness.engines.map_selection import (
    best_cells,
    candidates_of_maps,
    corrected,
    decode,
    decode_inside,
    highest,
    refined,
)
from objectness.engines.onnx_runtime import open_onnx
from objectness.images import open_fitted
from objectness.inference.model_files import bundled_model

PHOTOS = sorted((Path(__file__).parents[2] / "examples" / "photos").glob("*.jpg"))
GEOMETRY = Geometry((8,), 16, pre_nms_top_n=3, min_size=2.0, delta_clamp=1.0, refinement=None, calibration=None)
ANCHORS = np.array([[0, 0, 10, 10], [10, 0, 20, 10], [0, 10, 10, 20], [20, 20, 40, 30]], np.float32)
STILL = np.zeros((4, 4), np.float32)


def test_deltas_by_hand() -> None:
    deltas = np.array([[0.1, -0.2, np.log(2), 0], [0, 0, 5, 0]], np.float32)
    found = decode(deltas, np.array([[0, 0, 10, 20], [0, 0, 10, 10]], np.float32), delta_clamp=1.0)
    half = 5 * np.e
    np.testing.assert_allclose(found, [[-4, -4, 16, 16], [5 - half, 0, 5 + half, 10]], rtol=1e-6)
    assert found.dtype == np.float32


def test_the_highest_scores_and_ties_by_place() -> None:
    scores = np.array([0.5, 0.9, 0.5, 0.1, 0.5], np.float32)
    assert highest(scores, 3).tolist() == [1, 0, 2]
    assert highest(scores, 9).tolist() == [1, 0, 2, 4, 3]
    assert highest(scores, 0).tolist() == []
    assert highest(scores[:0], 3).tolist() == []


def test_boxes_that_cannot_be_used_leave_their_places_to_others() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6], np.float32)
    assert best_cells(scores, STILL, ANCHORS, (40, 40), GEOMETRY).tolist() == [0, 1, 2]
    deltas = STILL.copy()
    deltas[0, 2:] = -20  # smaller than min_size
    deltas[1, 0] = np.nan
    assert best_cells(scores, deltas, ANCHORS, (40, 40), GEOMETRY).tolist() == [2, 3]
    assert best_cells(scores, STILL, ANCHORS, (20, 20), GEOMETRY).tolist() == [0, 1, 2]  # the last lies outside
    broken = np.array([np.nan, 0.8, np.inf, 0.6], np.float32)
    assert best_cells(broken, STILL, ANCHORS, (40, 40), GEOMETRY, count=9).tolist() == [1, 3]
    assert best_cells(scores, STILL, ANCHORS, (40, 40), GEOMETRY, count=1).tolist() == [0]


def test_boxes_end_at_the_image() -> None:
    boxes, usable = decode_inside(np.ones(4, np.float32), STILL, ANCHORS, (25, 30), GEOMETRY)
    np.testing.assert_array_equal(boxes[3], [20, 20, 30, 25])
    assert usable.all()


def test_a_correction_that_spoils_a_box_is_not_applied() -> None:
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    deltas = np.array([[0.1, 0, 0, 0], [0, 0, -20, -20], [0.1, 0, 0, 0]], np.float32)
    new_scores = np.array([0.2, 0.95, np.nan], np.float32)
    boxes, found = corrected(ANCHORS[:3], scores, deltas, new_scores, (40, 40), GEOMETRY)
    np.testing.assert_allclose(boxes, [[1, 0, 11, 10], ANCHORS[1], ANCHORS[2]])
    np.testing.assert_array_equal(found, np.array([0.2, 0.8, 0.7], np.float32))


def test_only_the_first_boxes_are_corrected_and_all_are_ranked_again() -> None:
    geometry = replace(GEOMETRY, refinement=Refinement(grid=1, margin=1.0, finer=0, boxes=2))
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    boxes, found = refined(
        0, ANCHORS[:3], scores, lambda level, boxes, scores: (STILL[: len(boxes)], scores / 3), (40, 40), geometry
    )
    np.testing.assert_array_equal(boxes, ANCHORS[[2, 0, 1]])
    np.testing.assert_allclose(found, [0.7, 0.3, 0.8 / 3])


@pytest.mark.parametrize("seed", range(3))
def test_it_chooses_as_pytorch_does(seed: int) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    from objectness.rpn.selection import candidates
    from objectness.rpn.settings import SelectSettings

    rng = np.random.default_rng(seed)
    scores = rng.choice(np.linspace(0.1, 0.9, 40), 500).astype(np.float32)  # many ties
    deltas = rng.normal(scale=0.4, size=(500, 4)).astype(np.float32)
    scores[:9], deltas[9:20] = np.nan, np.inf
    corners = rng.uniform(-20, 100, (500, 2))
    anchors = np.hstack([corners, corners + rng.uniform(1, 40, (500, 2))]).astype(np.float32)
    settings = SelectSettings(pre_nms_top_n=200, min_size=2.0)
    expected = candidates(
        [torch.from_numpy(scores)], [torch.from_numpy(deltas)], [torch.from_numpy(anchors)], (90, 80), settings, 1.0
    )
    places = best_cells(scores, deltas, anchors, (90, 80), replace(GEOMETRY, pre_nms_top_n=200))
    boxes, _ = decode_inside(scores[places], deltas[places], anchors[places], (90, 80), GEOMETRY)
    np.testing.assert_array_equal(scores[places], expected.scores.numpy())
    np.testing.assert_allclose(boxes, expected.boxes_xyxy.numpy(), atol=1e-4)


@pytest.fixture(scope="module")
def bundled() -> GraphEngine:
    return open_onnx(bundled_model(), "the default model", EngineSettings(threads=1))


def test_the_bundled_model_says_what_tiles_must_know(bundled: GraphEngine) -> None:
    geometry = bundled.dense(1).geometry
    assert (geometry.strides, geometry.reach, geometry.why_no_reach) == ((8, 16, 32, 64), 448, "")
    assert geometry.refinement == Refinement(grid=4, margin=1.2, finer=1, boxes=300)
    assert not geometry.single_level
    assert bundled.dense(1) is bundled.dense(1)


def require_same(bundled: GraphEngine, photo: Path) -> None:
    """The proposals of the graph and those chosen from its maps are alike; equal scores may change places."""
    own, dense = bundled.description, bundled.dense(1)
    pixels = open_fitted(photo, own.short_side, own.long_side).pixels
    size_hw = (pixels.shape[0], pixels.shape[1])
    expected = bundled.propose(pixels, nms=own.nms_iou, top=1000)
    found = select(candidates_of_maps(dense.maps(pixels), size_hw, dense), size_hw, nms=own.nms_iou, top=1000)
    assert dense.geometry.calibration is not None
    np.testing.assert_allclose(dense.geometry.calibration(found.scores), expected.scores, atol=1e-6)
    moved = np.abs(found.boxes_xyxy - expected.boxes_xyxy).max(axis=1) > 1e-3
    assert moved.mean() < 0.02, "scores that differ by rounding only change places"
    for place in np.flatnonzero(moved):
        near = np.abs(expected.scores - expected.scores[place]) < 2e-6
        assert np.abs(expected.boxes_xyxy[near] - found.boxes_xyxy[place]).max(axis=1).min() < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("photo", PHOTOS, ids=lambda path: path.stem)
def test_the_bundled_model_s_proposals_from_its_maps(bundled: GraphEngine, photo: Path) -> None:
    require_same(bundled, photo)


@pytest.mark.slow
def test_the_bundled_model_s_proposals_of_other_photographs(bundled: GraphEngine, shared_data: Path) -> None:
    photos = sorted((shared_data / "coco").rglob("*.jpg"))[:20]
    assert photos
    for photo in photos:
        require_same(bundled, photo)
