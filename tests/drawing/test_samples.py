from __future__ import annotations

import numpy as np

from objectness.drawing import draw_samples
from objectness.drawing.samples import GROUND_TRUTH, NEGATIVE, POSITIVE

GREY = np.full((300, 400, 3), 128, np.uint8)
NO_BOXES = np.empty((0, 4), np.float32)


def _count(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((picture[:250] == colour).all(axis=2).sum())  # above the legend


def test_an_image_without_boxes_or_anchors_gets_its_legend_only() -> None:
    picture = np.asarray(draw_samples(GREY, NO_BOXES, np.empty(0, np.int64), NO_BOXES))
    assert np.array_equal(picture[:250], GREY[:250])
    assert not np.array_equal(picture, GREY)


def test_each_kind_has_its_colour_and_ignored_anchors_have_none() -> None:
    anchors = np.float32([[20, 20, 80, 80], [120, 20, 180, 80], [220, 20, 280, 80]])
    picture = np.asarray(draw_samples(GREY, anchors, np.array([1, 0, -1]), np.float32([[20, 120, 80, 180]])))
    assert picture[50, 20].tolist() == list(POSITIVE)
    assert picture[50, 120].tolist() == list(NEGATIVE)
    assert picture[50, 220].tolist() == [128] * 3
    assert picture[150, 20].tolist() == list(GROUND_TRUTH)
    # Ground truth is the thickest, negatives the thinnest.
    assert picture[150, 21].tolist() == list(GROUND_TRUTH)
    assert picture[50, 121].tolist() == [128] * 3


def test_ground_truth_lies_on_top() -> None:
    same = np.float32([[20, 20, 80, 80]])
    picture = np.asarray(draw_samples(GREY, same, np.array([1]), same))
    assert picture[50, 20].tolist() == list(GROUND_TRUTH)
    assert _count(picture, POSITIVE) == 0


def test_of_very_many_anchors_a_spread_choice_is_drawn() -> None:
    left = np.arange(200, dtype=np.float32)
    anchors = np.stack([left, left * 0 + 10, left + 5, left * 0 + 40], axis=1) * np.float32([1.9, 1, 1.9, 1])
    picture = np.asarray(draw_samples(GREY, anchors, np.zeros(200, np.int64), NO_BOXES))
    columns = np.flatnonzero((picture[25] == NEGATIVE).all(axis=1))
    assert 48 <= len(columns) <= 96  # two sides of each, some on the same pixel
    assert columns[0] == 0  # the first and the last are among them
    assert columns[-1] == 387  # 204 x 1.9 = 387.6, exclusive


def test_a_tiny_image_goes_without_a_legend() -> None:
    tiny = np.full((8, 8, 3), 128, np.uint8)
    assert np.array_equal(np.asarray(draw_samples(tiny, NO_BOXES, np.empty(0, np.int64), NO_BOXES)), tiny)
