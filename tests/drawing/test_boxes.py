from __future__ import annotations

import numpy as np
import pytest

from objectness.drawing import draw_boxes

GREY = np.full((200, 300, 3), 128, np.uint8)
YELLOW, PERIWINKLE = [255, 238, 96], [124, 120, 255]


def _boxes(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def test_nothing_to_draw_leaves_the_photograph() -> None:
    assert np.array_equal(np.asarray(draw_boxes(GREY, _boxes(), np.empty(0, np.float32))), GREY)
    one = _boxes([10, 10, 90, 90])
    assert np.array_equal(np.asarray(draw_boxes(GREY, one, np.float32([0.5]), limit=0)), GREY)


def test_the_frame_lies_on_the_pixels_inside_the_box() -> None:
    picture = np.asarray(draw_boxes(GREY, _boxes([20, 30, 120, 110])))
    for y, x in ((30, 20), (30, 119), (109, 20), (109, 119)):  # right and bottom are exclusive
        assert picture[y, x].tolist() == YELLOW
    for y, x in ((70, 19), (70, 120), (29, 70), (110, 70)):  # the dark edge around it
        assert picture[y, x].max() < 40
    assert picture[70, 70].tolist() == [128] * 3
    assert picture[70, 17].tolist() == [128] * 3


def test_the_photograph_itself_is_not_changed() -> None:
    photo = GREY.copy()
    draw_boxes(photo, _boxes([20, 30, 120, 110]), np.float32([0.9]))
    assert np.array_equal(photo, GREY)


def test_the_best_box_is_yellow_and_on_top_whatever_the_order() -> None:
    boxes = _boxes([20, 60, 120, 140], [60, 60, 200, 140])
    for scores, owner_of_left in (([0.9, 0.1], YELLOW), ([0.1, 0.9], PERIWINKLE)):
        picture = np.asarray(draw_boxes(GREY, boxes, np.float32(scores)))
        assert picture[138, 20].tolist() == owner_of_left
        assert picture[60, 110].tolist() == YELLOW  # where the two cross, the best is seen


def test_only_the_best_are_drawn() -> None:
    boxes = _boxes([20, 60, 60, 140], [100, 60, 140, 140], [180, 60, 220, 140])
    picture = np.asarray(draw_boxes(GREY, boxes, np.float32([0.2, 0.9, 0.5]), limit=2))
    assert picture[100, 20].tolist() == [128] * 3
    assert picture[100, 100].tolist() == YELLOW
    assert picture[100, 180].tolist() == PERIWINKLE


def test_equal_scores_are_all_the_best() -> None:
    picture = np.asarray(draw_boxes(GREY, _boxes([20, 60, 60, 140], [100, 60, 140, 140]), np.float32([0.4, 0.4])))
    assert picture[100, 20].tolist() == picture[100, 100].tolist() == YELLOW


def test_a_score_is_written_above_its_box_and_only_with_scores() -> None:
    box = _boxes([40, 60, 200, 140])
    with_score = np.asarray(draw_boxes(GREY, box, np.float32([0.9])))
    without = np.asarray(draw_boxes(GREY, box))
    assert (with_score[48:58, 40:60] == YELLOW).all(axis=2).sum() > 20
    assert np.array_equal(without[40:58], GREY[40:58])


def test_labels_stay_inside_and_never_cover_one_another() -> None:
    whole = np.tile(_boxes([0, 0, 300, 200]), (5, 1))
    once = np.asarray(draw_boxes(GREY, whole[:1], np.float32([0.5])))
    five = np.asarray(draw_boxes(GREY, whole, np.float32([0.5] * 5)))
    filled = [(picture == YELLOW).all(axis=2).sum() for picture in (once, five)]
    assert filled[1] < 2.5 * filled[0]  # one above, one below: no room for five


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 400), (400, 1), (8, 8), (3000, 4000)])
def test_every_size_of_photograph_and_box(size_hw: tuple[int, int]) -> None:
    height, width = size_hw
    boxes = _boxes([0, 0, width, height], [0, 0, 0.2, 0.2], [width - 0.5, height - 0.5, width, height])
    picture = draw_boxes(np.full((*size_hw, 3), 128, np.uint8), boxes, np.float32([0.9, 0.5, 0.1]))
    assert picture.size == (width, height)
    assert not (np.asarray(picture)[0, 0] == 128).all()


def test_lines_are_thicker_on_larger_photographs() -> None:
    widths = []
    for scale in (1, 10):
        photo = np.full((200 * scale, 320 * scale, 3), 128, np.uint8)
        picture = np.asarray(draw_boxes(photo, _boxes([50, 50, 150, 150]) * scale))
        widths.append(int((picture[100 * scale] == YELLOW).all(axis=1).sum()) / 2)
    assert widths == [2, 11]
