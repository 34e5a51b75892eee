from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from objectness.autoanchor.reach import Level, best_anchors, level_shapes
from objectness.boxes import iou as iou_of

SQUARE = (Level(10.0, np.array([[20.0, 20.0]])),)
IMAGE = np.array([[100.0, 100.0]])


def reach(box: list[float], levels: tuple[Level, ...] = SQUARE, inside_only: bool = False) -> tuple[float, int, int]:
    found = best_anchors(np.array([box], dtype=np.float64), IMAGE, levels, 0.5, inside_only)
    return float(found.iou[0]), int(found.level[0]), int(found.shape[0])


def test_no_boxes() -> None:
    found = best_anchors(np.zeros((0, 4)), np.zeros((0, 2)), SQUARE, 0.5, False)
    assert found.iou.shape == found.level.shape == found.shape.shape == (0,)


def test_by_hand() -> None:
    """Cells are centred at 5, 15, 25 ...: an anchor of 20 px fits a box on such a centre exactly."""
    assert reach([15, 25, 35, 45])[0] == pytest.approx(1)
    # Half a cell off along x: 15 of 20 columns are common.
    assert reach([20, 25, 40, 45])[0] == pytest.approx(300 / 500)
    # Twice as wide: half of it is covered.
    assert reach([15, 25, 55, 45])[0] == pytest.approx(0.5)


def test_the_best_level_and_shape_are_named() -> None:
    levels = (Level(10.0, np.array([[10.0, 10.0], [10.0, 20.0]])), Level(20.0, np.array([[40.0, 40.0]])))
    assert reach([30, 30, 70, 70], levels) == (pytest.approx(1), 1, 0)
    assert reach([10, 15, 20, 35], levels) == (pytest.approx(1), 0, 1)


def test_anchors_that_cross_the_border_may_be_forbidden() -> None:
    """A box of 20 px in the corner: the anchor at (5, 5) sticks out, the one at (15, 15) overlaps a quarter as much."""
    assert reach([0, 0, 20, 20])[0] == pytest.approx(225 / 575)
    assert reach([0, 0, 20, 20], inside_only=True)[0] == pytest.approx(225 / 575)  # at (15, 15): 5 .. 25
    assert reach([0, 0, 10, 10])[0] == pytest.approx(100 / 400)
    assert reach([0, 0, 10, 10], inside_only=True)[0] == pytest.approx(25 / 475)


def test_an_anchor_larger_than_the_image_reaches_nothing_from_inside() -> None:
    huge = (Level(10.0, np.array([[150.0, 150.0]])),)
    assert reach([0, 0, 100, 100], huge)[0] > 0.3
    assert reach([0, 0, 100, 100], huge, inside_only=True)[0] == 0


def test_sizes_and_ratios_make_shapes_of_one_area() -> None:
    (level,) = level_shapes([[10.0, 20.0]], [0.25, 1.0, 4.0], [8.0])
    assert level.shapes_wh.tolist() == [[20, 5], [10, 10], [5, 20], [40, 10], [20, 20], [10, 40]]


@given(
    st.lists(st.tuples(*[st.floats(0, 90)] * 2, *[st.floats(1, 80)] * 2), min_size=1, max_size=6),
    st.booleans(),
    st.sampled_from([0.0, 0.5]),
)
@pytest.mark.slow
def test_equal_to_laying_the_whole_grid(rows: list[tuple[float, ...]], inside_only: bool, offset: float) -> None:
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h in rows])
    height, width = 96, 120
    levels = (Level(8.0, np.array([[12.0, 24.0], [20.0, 20.0]])), Level(16.0, np.array([[50.0, 30.0]])))
    best = np.zeros(len(boxes))
    for level in levels:
        ys = (np.arange(-(-height // level.stride)) + offset) * level.stride
        xs = (np.arange(-(-width // level.stride)) + offset) * level.stride
        for w, h in level.shapes_wh:
            grid = np.array([[x - w / 2, y - h / 2, x + w / 2, y + h / 2] for y in ys for x in xs])
            if inside_only:
                grid = grid[(grid[:, :2] >= 0).all(axis=1) & (grid[:, 2] <= width) & (grid[:, 3] <= height)]
            if len(grid):
                best = np.maximum(best, iou_of(boxes, grid).max(axis=1))
    sizes = np.tile([float(height), float(width)], (len(boxes), 1))
    found = best_anchors(boxes, sizes, levels, offset, inside_only)
    assert found.iou == pytest.approx(best, abs=1e-5)
