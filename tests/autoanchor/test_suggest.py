from __future__ import annotations

import numpy as np
import pytest

from objectness.autoanchor.suggest import climb, cluster_shapes, fit_sizes_and_ratios, shape_iou


def boxes_around(centres: list[tuple[float, float]], spread: float, each: int = 50) -> np.ndarray:
    generator = np.random.default_rng(0)
    return np.concatenate(
        [np.array(centre) * np.exp(generator.normal(0, spread, size=(each, 2))) for centre in centres]
    )


def test_shape_iou_by_hand() -> None:
    assert shape_iou(np.zeros((0, 2)), np.ones((3, 2))).shape == (0, 3)
    found = shape_iou(np.array([[10.0, 10], [20, 10]]), np.array([[10.0, 20], [10, 10]]))
    assert found.tolist() == [[0.5, 1.0], [pytest.approx(100 / 300), 0.5]]


def test_clusters_are_found_where_they_are() -> None:
    centres = [(10, 30), (60, 20), (200, 200)]
    found = cluster_shapes(boxes_around(centres, 0.05), 3)
    assert found == pytest.approx(np.array(centres, dtype=float), rel=0.03)


def test_k_means_never_fits_worse_than_its_start() -> None:
    boxes = boxes_around([(20, 40), (90, 90), (300, 100), (30, 30)], 0.5)
    by_area = boxes[np.argsort(boxes.prod(axis=1))]
    start = by_area[(np.arange(5) + 0.5).astype(int) * 40]
    assert shape_iou(boxes, cluster_shapes(boxes, 5)).max(axis=1).mean() > shape_iou(boxes, start).max(axis=1).mean()


def test_sizes_and_ratios_are_found_where_they_are() -> None:
    """A full grid of 2 sizes x 2 ratios, every box a little off."""
    grid = [(size / ratio**0.5, size * ratio**0.5) for size in (20, 100) for ratio in (0.5, 2)]
    sizes, ratios = fit_sizes_and_ratios(boxes_around(grid, 0.03), 2, 2)
    assert sizes == pytest.approx([20, 100], rel=0.02)
    assert ratios == pytest.approx([0.5, 2], rel=0.02)


def test_too_few_boxes() -> None:
    with pytest.raises(ValueError, match="4 shapes cannot be found from 3 boxes"):
        cluster_shapes(np.ones((3, 2)), 4)
    with pytest.raises(ValueError, match="1 sizes and 3 ratios cannot be found from 2 boxes"):
        fit_sizes_and_ratios(np.ones((2, 2)), 1, 3)


def test_climb_finds_the_top_and_leaves_the_start_alone() -> None:
    start = np.array([1.0, 50.0])
    top = climb(start, lambda at: -float((np.log(at / [20.0, 10.0]) ** 2).sum()))
    assert top == pytest.approx([20, 10], rel=0.03)
    assert start.tolist() == [1, 50]
