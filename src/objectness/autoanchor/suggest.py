"""Anchor shapes that fit a set of boxes: k-means under the distance 1 - IoU. N boxes, K shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_ROUNDS = 100
_CLIMBS = 30


def shape_iou(boxes_wh: Floats, shapes_wh: Floats) -> Floats:
    """``(N, K)`` IoU of boxes ``(N, 2)`` and shapes ``(K, 2)`` laid on one centre."""
    common = np.minimum(boxes_wh[:, None], shapes_wh[None]).prod(axis=2)
    union = boxes_wh.prod(axis=1)[:, None] + shapes_wh.prod(axis=1)[None] - common
    overlaps: Floats = common / np.maximum(union, np.finfo(np.float64).tiny)
    return overlaps


def cluster_shapes(boxes_wh: Floats, count: int) -> Floats:
    """The ``(count, 2)`` widths and heights that boxes gather around, smallest area first.

    k-means with the distance 1 - IoU; a centre moves to the median of its boxes. It starts from evenly spaced
    quantiles of the areas, so the answer depends on the boxes alone.

    Raises:
        ValueError: fewer boxes than shapes.
    """
    if len(boxes_wh) < count:
        raise ValueError(f"{count} shapes cannot be found from {len(boxes_wh)} boxes.")
    by_area = boxes_wh[np.argsort(boxes_wh.prod(axis=1), kind="stable")]
    shapes = by_area[((np.arange(count) + 0.5) / count * len(by_area)).astype(np.int64)]
    nearest = np.full(len(boxes_wh), -1)
    for _ in range(_ROUNDS):
        before, nearest = nearest, shape_iou(boxes_wh, shapes).argmax(axis=1)
        if np.array_equal(before, nearest):
            break
        for index in range(count):
            if (nearest == index).any():
                shapes[index] = np.median(boxes_wh[nearest == index], axis=0)
    return shapes[np.argsort(shapes.prod(axis=1), kind="stable")]


def fit_sizes_and_ratios(boxes_wh: Floats, sizes: int, ratios: int) -> tuple[Floats, Floats]:
    """Sizes (roots of areas) and ratios (height over width), every one in every other, that fit the boxes.

    The same k-means with shapes bound to a grid: a size moves to the geometric mean of the sizes of all boxes
    that are nearest to one of its shapes, a ratio likewise.

    Returns:
        ``(sizes,)`` and ``(ratios,)``, both ascending.

    Raises:
        ValueError: fewer boxes than sizes or ratios.
    """
    if len(boxes_wh) < max(sizes, ratios):
        raise ValueError(f"{sizes} sizes and {ratios} ratios cannot be found from {len(boxes_wh)} boxes.")
    size, ratio = np.log(boxes_wh).mean(axis=1), np.log(boxes_wh[:, 1] / boxes_wh[:, 0])
    fitted_sizes, fitted_ratios = _quantiles(size, sizes), _quantiles(ratio, ratios)
    nearest = np.full(len(boxes_wh), -1)
    for _ in range(_ROUNDS):
        shapes = np.exp(
            np.stack(
                [
                    (fitted_sizes[:, None] - fitted_ratios / 2).ravel(),
                    (fitted_sizes[:, None] + fitted_ratios / 2).ravel(),
                ],
                axis=1,
            )
        )
        before, nearest = nearest, shape_iou(boxes_wh, shapes).argmax(axis=1)
        if np.array_equal(before, nearest):
            break
        of_size, of_ratio = np.divmod(nearest, ratios)
        _move_to_means(fitted_sizes, size, of_size)
        _move_to_means(fitted_ratios, ratio, of_ratio)
    return np.exp(np.sort(fitted_sizes)), np.exp(np.sort(fitted_ratios))


def _quantiles(values: Floats, count: int) -> Floats:
    return np.quantile(values, (np.arange(count) + 0.5) / count)


def _move_to_means(centres: Floats, values: Floats, members: NDArray[np.int64]) -> None:
    for index in range(len(centres)):
        if (members == index).any():
            centres[index] = values[members == index].mean()


def climb(start: Floats, worth: Callable[[Floats], float], steps: Sequence[float] = (1.2, 1.07, 1.02)) -> Floats:
    """Multiply one number at a time up or down while that raises ``worth``, in ever finer steps.

    Args:
        start: ``(P,)`` numbers above 0; it is not changed.
        worth: What to raise.
        steps: Factors, coarse to fine.
    """
    best, height = start.copy(), worth(start)
    for factor in steps:
        for _ in range(_CLIMBS):
            before = height
            for index in range(len(best)):
                for change in (factor, 1 / factor):
                    tried = best.copy()
                    tried[index] *= change
                    if (reached := worth(tried)) > height:
                        best, height = tried, reached
            if height == before:
                break
    return best
