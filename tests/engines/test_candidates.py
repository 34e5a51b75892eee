"""Smallest side of a proposal in pixels of the photograph, and broken numbers, with every engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from objectness.engines import Candidates, ModelDescription, RankedBoxes
from objectness.engines.candidates import select
from objectness.errors import InputError
from objectness.inference.proposer import Proposer, to_photograph

# On an image seen at ten times the size of its photograph: 2 x 2, 0.9 x 4, 4 x 0.9, exactly 1 x 1 pixels there.
SEEN = np.array([[0, 0, 20, 20], [30, 0, 39, 40], [50, 50, 90, 59], [60, 70, 70, 80]], np.float32)
SCORES = np.array([0.6, 0.9, 0.8, 0.7], np.float32)
SIZES = {"resized_hw": (100, 100), "size_hw": (10, 10)}


def test_boxes_thinner_than_a_pixel_of_the_photograph_are_left_out() -> None:
    candidates = Candidates(SEEN, SCORES, np.zeros(4, np.int64))
    found = to_photograph(select(candidates, (100, 100), top=2, nms=0.7, smallest_hw=(10, 10)), **SIZES)
    np.testing.assert_allclose(found.boxes_xyxy, [[6, 7, 7, 8], [0, 0, 2, 2]])  # and they cost no place among the top
    order = np.argsort(-SCORES)
    ranked = to_photograph(RankedBoxes(SEEN[order], SCORES[order]), **SIZES)
    np.testing.assert_array_equal(ranked.boxes_xyxy, found.boxes_xyxy)


@pytest.mark.parametrize(("min_side", "kept"), [(0, 4), (0.9, 4), (1.5, 1), (3, 0)])
def test_the_smallest_side_can_be_chosen(min_side: float, kept: int) -> None:
    candidates = Candidates(SEEN, SCORES, np.zeros(4, np.int64))
    smallest_hw = (10 * min_side, 10 * min_side)
    assert len(select(candidates, (100, 100), top=9, nms=0.7, smallest_hw=smallest_hw).scores) == kept
    assert len(to_photograph(RankedBoxes(SEEN, SCORES), **SIZES, min_side=min_side)) == kept


class Grid:
    """An engine without or with suppression inside that proposes 8 x 8 boxes side by side, and the whole."""

    description = ModelDescription("grid", short_side=64, long_side=64)
    device = "cpu"

    @staticmethod
    def _boxes() -> np.ndarray:
        corners = np.stack(np.meshgrid(np.arange(8), np.arange(8)), axis=-1).reshape(-1, 2) * 8
        return np.concatenate([np.hstack([corners, corners + 8]), [[0, 0, 64, 64]]]).astype(np.float32)

    def candidates(self, pixels: np.ndarray) -> Candidates:
        found = self._boxes()
        return Candidates(found, np.linspace(0.9, 0.1, len(found), dtype=np.float32), np.zeros(len(found), np.int64))

    def propose(self, pixels: np.ndarray, **limits: Any) -> RankedBoxes:
        return select(self.candidates(pixels), (64, 64), **limits)


class RankedGrid(Grid):
    def propose(self, pixels: np.ndarray, **limits: Any) -> RankedBoxes:
        found = self.candidates(pixels)
        return RankedBoxes(found.boxes_xyxy, found.scores)


@pytest.mark.parametrize("engine", [Grid(), RankedGrid()])
def test_a_photograph_of_one_pixel_has_one_box_and_one_of_eight_pixels_all(engine: Grid) -> None:
    one, eight = np.zeros((1, 1, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    assert Proposer(engine)(one).boxes_xyxy.tolist() == [[0, 0, 1, 1]]
    assert len(Proposer(engine)(eight)) == 65
    assert len(Proposer(engine, min_side=0)(one)) == 65
    assert len(Proposer(engine, min_side=2)(eight)) == 1


@pytest.mark.parametrize("min_side", [-1, float("nan"), float("inf")])
def test_a_smallest_side_that_is_no_length_is_refused(min_side: float) -> None:
    with pytest.raises(InputError, match="min_side is"):
        Proposer(Grid(), min_side=min_side)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_model_that_gives_no_finite_number_is_no_photograph_without_objects(broken: float) -> None:
    boxes_xyxy = np.array([[1, 1, 20, 20], [5, 5, 50, 40]], np.float32)
    scores = np.array([0.9, 0.5], np.float32)
    sizes = {"resized_hw": (60, 60), "size_hw": (120, 120), "score": 0.0}
    for given in ((boxes_xyxy * np.float32(broken), scores), (boxes_xyxy, scores * np.float32(broken))):
        with pytest.raises(InputError, match="the model gives no box and score that are finite numbers"):
            to_photograph(RankedBoxes(*given), **sizes)
        with pytest.raises(InputError, match="the model gives no box and score that are finite numbers"):
            select(Candidates(*given, np.zeros(2, np.int64)), (60, 60), top=9, nms=0.7)
    assert len(to_photograph(RankedBoxes(boxes_xyxy[:0], scores[:0]), **sizes)) == 0


@pytest.mark.filterwarnings("error")
def test_corners_beyond_every_number_are_clipped_without_a_warning() -> None:
    found = to_photograph(
        RankedBoxes(np.array([[-3e38, 1, 3e38, 3]], np.float32), np.array([0.9], np.float32)),
        resized_hw=(60, 60),
        size_hw=(120, 120),
    )
    np.testing.assert_array_equal(found.boxes_xyxy, [[0, 2, 120, 6]])
