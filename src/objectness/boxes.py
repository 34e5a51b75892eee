"""Box maths on NumPy arrays.

Boxes are ``(N, 4)`` x1, y1, x2, y2 in pixels, right and bottom exclusive. N, M boxes. Areas and overlaps of
half-precision or integer boxes are computed in a wider type: the area of a 300 x 300 box is more than float16
can hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.floating[Any]]


def _wide(boxes_xyxy: Boxes) -> Boxes:
    """The same boxes as float32, or as float64 where float32 would lose digits."""
    wide: Boxes = boxes_xyxy.astype(np.promote_types(boxes_xyxy.dtype, np.float32), copy=False)
    return wide


def area(boxes_xyxy: Boxes) -> Boxes:
    """Areas ``(N,)`` in square pixels; a box whose sides are swapped has area 0."""
    boxes_xyxy = _wide(boxes_xyxy)
    wh = np.clip(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], 0, None)
    return wh[:, 0] * wh[:, 1]


def intersection(boxes_xyxy: Boxes, others_xyxy: Boxes) -> Boxes:
    """Common areas ``(N, M)`` of each box with each other box."""
    boxes_xyxy, others_xyxy = _wide(boxes_xyxy), _wide(others_xyxy)
    top_left = np.maximum(boxes_xyxy[:, None, :2], others_xyxy[None, :, :2])
    bottom_right = np.minimum(boxes_xyxy[:, None, 2:], others_xyxy[None, :, 2:])
    wh: Boxes = np.clip(bottom_right - top_left, 0, None)
    return wh[..., 0] * wh[..., 1]


def iou(boxes_xyxy: Boxes, others_xyxy: Boxes) -> Boxes:
    """Intersection over union ``(N, M)``; 0 where both boxes are empty."""
    common = intersection(boxes_xyxy, others_xyxy)
    union = area(boxes_xyxy)[:, None] + area(others_xyxy)[None, :] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def iof(boxes_xyxy: Boxes, regions_xyxy: Boxes) -> Boxes:
    """Intersection over the area of the first box ``(N, M)``: how much of a box lies in a region (crowds)."""
    common = intersection(boxes_xyxy, regions_xyxy)
    own = np.broadcast_to(area(boxes_xyxy)[:, None], common.shape)
    return np.divide(common, own, out=np.zeros_like(common), where=own > 0)


def clip(boxes_xyxy: Boxes, size_hw: tuple[int, int]) -> Boxes:
    """Move every corner into the image of ``(height, width)``: a new ``(N, 4)`` array."""
    height, width = size_hw
    limit = np.array([width, height, width, height], dtype=boxes_xyxy.dtype)
    return np.clip(boxes_xyxy, 0, limit)


def xyxy_to_xywh(boxes_xyxy: Boxes) -> Boxes:
    """Corners to x, y, width, height (the COCO order)."""
    return np.concatenate([boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]], axis=1)


def xywh_to_xyxy(boxes_xywh: Boxes) -> Boxes:
    """x, y, width, height (the COCO order) to corners."""
    return np.concatenate([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], axis=1)


def nms(
    boxes_xyxy: Boxes, scores: NDArray[np.floating[Any]], iou_threshold: float, limit: int | None = None
) -> NDArray[np.int64]:
    """Greedy non-maximum suppression (paper, section 3.3).

    Args:
        boxes_xyxy: ``(N, 4)``; a box that is not finite is never kept.
        scores: ``(N,)``; equal scores keep the lower index; a box whose score is NaN is never kept.
        iou_threshold: a box is dropped when its IoU with a better kept box is **above** this.
        limit: stop as soon as this many are kept.

    Returns:
        Indices of the kept boxes ``(K,)``, best first: the list that ``torchvision.ops.nms`` gives for finite
        input, cut at ``limit``.

    Raises:
        ValueError: shapes that do not belong together.
    """
    if boxes_xyxy.shape != (len(scores), 4) or scores.ndim != 1:
        raise ValueError(f"NMS needs boxes (N, 4) and scores (N,), not {boxes_xyxy.shape} and {scores.shape}.")
    usable = np.flatnonzero(np.isfinite(boxes_xyxy).all(axis=1) & ~np.isnan(scores))
    # Half precision and integers are widened before the sign is turned: unsigned scores would wrap round.
    falling = -scores[usable].astype(np.promote_types(scores.dtype, np.float32))
    order = usable[np.argsort(falling, kind="stable")]
    boxes = _wide(boxes_xyxy[order])
    areas = area(boxes)
    wanted = len(order) if limit is None else limit
    alive = np.arange(len(order))
    kept: list[int] = []
    while len(alive) and len(kept) < wanted:
        best, rest = alive[0], alive[1:]
        kept.append(int(best))
        common = intersection(boxes[best : best + 1], boxes[rest])[0]
        union = areas[best] + areas[rest] - common
        overlap = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
        # Compared in double precision as torchvision does: a float32 IoU of 1/5 lies a little above 0.2.
        alive = rest[overlap.astype(np.float64) <= iou_threshold]
    return order[np.array(kept, dtype=np.int64)]
