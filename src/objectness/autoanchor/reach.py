"""IoU of each box with the best anchor of a grid: the upper bound of matching in training (paper, section 3.1.2).

N boxes, L levels, A anchors a cell of a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Level:
    """The anchors of one level.

    Attributes:
        stride: Pixels between neighbouring cells.
        shapes_wh: ``(A, 2)`` width and height of the anchors of a cell.
    """

    stride: float
    shapes_wh: Floats


@dataclass(frozen=True, eq=False)
class Reach:
    """The best anchor for each of N boxes.

    Attributes:
        iou: ``(N,)`` its IoU; 0 where no anchor may be used at all.
        level: ``(N,)`` the level that it stands on, 0 the finest.
        shape: ``(N,)`` its number within the cell.
    """

    iou: Floats
    level: NDArray[np.int64]
    shape: NDArray[np.int64]


def level_shapes(
    sizes: Sequence[Sequence[float]], ratios_height_over_width: Sequence[float], strides: Sequence[float]
) -> tuple[Level, ...]:
    """Levels with, in each cell, every size in every ratio; the area stays ``size ** 2``.

    Args:
        sizes: Of each level.
        ratios_height_over_width: Of all levels.
        strides: Of each level.
    """
    ratio = np.sqrt(np.asarray(ratios_height_over_width, dtype=np.float64))
    levels = []
    for level_sizes, stride in zip(sizes, strides, strict=True):
        size = np.asarray(level_sizes, dtype=np.float64)[:, None]
        shapes = np.stack([(size / ratio).ravel(), (size * ratio).ravel()], axis=1)
        levels.append(Level(float(stride), shapes))
    return tuple(levels)


def best_anchors(
    boxes_xyxy: Floats, sizes_hw: Floats, levels: Sequence[Level], offset: float, inside_only: bool
) -> Reach:
    """Find the anchor of highest IoU for each box, without laying the grid.

    IoU falls as centres part, along each axis for itself: the best cell of a shape is the one nearest to the box,
    among those where it may stand.

    Args:
        boxes_xyxy: ``(N, 4)`` in the pixels that the network sees.
        sizes_hw: ``(N, 2)`` height and width of the image that each box lies in.
        levels: Strides and shapes.
        offset: Centre of the first cell as a fraction of the stride.
        inside_only: Anchors that cross the image's border may not be used (paper, section 3.3).
    """
    count = len(boxes_xyxy)
    best = Reach(np.zeros(count), np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64))
    areas = np.prod(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], axis=1)
    for number, level in enumerate(levels):
        width, height = level.shapes_wh[:, :1], level.shapes_wh[:, 1:]  # (A, 1)
        across = _common(boxes_xyxy[:, 0::2], sizes_hw[:, 1], width, level.stride, offset, inside_only)
        down = _common(boxes_xyxy[:, 1::2], sizes_hw[:, 0], height, level.stride, offset, inside_only)
        common = across * down
        iou = common / np.maximum(areas + width * height - common, np.finfo(np.float64).tiny)  # (A, N)
        shape = iou.argmax(axis=0)
        iou = iou[shape, np.arange(count)]
        better = iou > best.iou
        best.iou[better], best.level[better], best.shape[better] = iou[better], number, shape[better]
    return best


def _common(spans: Floats, lengths: Floats, sides: Floats, stride: float, offset: float, inside_only: bool) -> Floats:
    """``(A, N)`` pixels that each span ``(N, 2)`` shares with its nearest anchor of each of ``sides (A, 1)``.

    The spans lie on an axis of ``lengths (N,)``.
    """
    half = sides / 2
    first, last = np.zeros((len(sides), len(lengths))), np.ceil(lengths / stride)[None] - 1
    if inside_only:
        first = np.maximum(first, np.ceil(half / stride - offset - 1e-9))
        last = np.minimum(last, np.floor((lengths - half) / stride - offset + 1e-9))
    nearest = np.clip(np.round(spans.mean(axis=1) / stride - offset), first, np.maximum(first, last))
    at = (nearest + offset) * stride
    common = np.minimum(spans[:, 1], at + half) - np.maximum(spans[:, 0], at - half)
    return np.where(last >= first, np.maximum(common, 0.0), 0.0)
