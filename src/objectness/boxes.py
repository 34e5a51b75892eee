"""Box maths on NumPy arrays.

Boxes are ``(N, 4)`` x1, y1, x2, y2 in pixels, right and bottom exclusive. N, M boxes. Areas and overlaps of
half-precision or integer boxes are computed in a wider type: the area of a 300 x 300 box is more than float16
can hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.nms_index import OverlapIndex

Boxes = NDArray[np.floating[Any]]

_FIRST_PIXEL = 1.01  # corners may stick out of the image a little, or count from 1


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


def are_fractions(boxes_xyxy: Iterable[Boxes]) -> bool:
    """Whether boxes that should be in pixels are fractions of their images: all lie about the first pixel.

    Args:
        boxes_xyxy: Those of each image, ``(N, 4)``; corners that are not finite say nothing.
    """
    found = False
    for some in boxes_xyxy:
        finite = some[np.isfinite(some).all(axis=1)]
        if (np.abs(finite) > _FIRST_PIXEL).any():
            return False
        found |= bool((finite != np.round(finite)).any())
    return found


def xyxy_to_xywh(boxes_xyxy: Boxes) -> Boxes:
    """Corners to x, y, width, height (the COCO order)."""
    return np.concatenate([boxes_xyxy[:, :2], boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]], axis=1)


def xywh_to_xyxy(boxes_xywh: Boxes) -> Boxes:
    """x, y, width, height (the COCO order) to corners."""
    return np.concatenate([boxes_xywh[:, :2], boxes_xywh[:, :2] + boxes_xywh[:, 2:]], axis=1)


def plain_nms(boxes_xyxy: Boxes, scores: NDArray[np.floating[Any]], iou_threshold: float) -> NDArray[np.int64]:
    """Greedy non-maximum suppression as it is written (paper, section 3.3): the oracle of the tests of ``nms``.

    Take boxes in falling order of score; drop each one whose IoU with a kept box is above the threshold. Too slow for
    thousands of boxes.
    """
    overlaps = iou(boxes_xyxy, boxes_xyxy)
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        if all(overlaps[index, other] <= iou_threshold for other in kept):
            kept.append(index)
    return np.array(kept, dtype=np.int64)


def nms(
    boxes_xyxy: Boxes,
    scores: NDArray[np.floating[Any]],
    iou_threshold: float,
    limit: int | None = None,
    groups: NDArray[np.integer[Any]] | None = None,
) -> NDArray[np.int64]:
    """Greedy non-maximum suppression (paper, section 3.3): the boxes of ``plain_nms``, quickly.

    Boxes are taken in falling order of score, a growing chunk at a time: boxes that overlap a kept one are dropped, the
    rest of the chunk is settled by its own pairs. Memory grows with N alone.

    Args:
        boxes_xyxy: ``(N, 4)``; a box that is not finite is never kept.
        scores: ``(N,)``; equal scores keep the lower index; a box whose score is NaN is never kept.
        iou_threshold: a box is dropped when its IoU with a better kept box is **above** this; at least 0. From 1 on
            nothing is dropped.
        limit: stop as soon as this many are kept.
        groups: ``(N,)`` feature levels or classes: boxes of different groups do not suppress one another.

    Returns:
        Indices of the kept boxes ``(K,)``, best first: the list that ``torchvision.ops.nms`` gives for finite
        input, cut at ``limit``.

    Raises:
        ValueError: shapes that do not belong together, or a threshold below 0.
    """
    if boxes_xyxy.shape != (len(scores), 4) or scores.ndim != 1:
        raise ValueError(f"NMS needs boxes (N, 4) and scores (N,), not {boxes_xyxy.shape} and {scores.shape}.")
    if groups is not None and groups.shape != scores.shape:
        raise ValueError(f"NMS needs one group a box: scores are {scores.shape}, groups {groups.shape}.")
    if not iou_threshold >= 0:
        raise ValueError(f"NMS needs an IoU threshold of at least 0, not {iou_threshold}.")
    usable = np.flatnonzero(np.isfinite(boxes_xyxy).all(axis=1) & ~np.isnan(scores))
    # Half precision and integers are widened before the sign is turned: unsigned scores would wrap round.
    falling = -scores[usable].astype(np.promote_types(scores.dtype, np.float32))
    order = usable[np.argsort(falling, kind="stable")]
    kept = _survivors(_wide(boxes_xyxy[order]), iou_threshold, limit, None if groups is None else groups[order])
    return order[kept[:limit]]


_FIRST_CHUNK = 256
_MOST_PAIRS = 2**20  # candidates among the boxes of a chunk, of which those that overlap are held at once
_MOST_ROUNDS = 8


def _survivors(
    boxes_xyxy: Boxes, iou_threshold: float, limit: int | None, groups: NDArray[np.integer[Any]] | None
) -> NDArray[np.int64]:
    """Ascending indices of at least the first ``limit`` kept boxes, of boxes that come best first."""
    with np.errstate(over="ignore", under="ignore"):
        areas = area(boxes_xyxy)
    # Boxes without area, or with one too large to be counted, overlap nothing.
    solid = np.flatnonzero((areas > 0) & np.isfinite(areas))
    dropped = np.zeros(len(boxes_xyxy), dtype=bool)
    if not len(solid):
        return np.flatnonzero(~dropped)
    near = OverlapIndex(boxes_xyxy[solid], iou_threshold, None if groups is None else groups[solid])
    gone = np.zeros(len(solid), dtype=bool)
    kept = np.empty(0, dtype=np.int64)
    start, size = 0, _FIRST_CHUNK
    while start < len(solid) and (limit is None or len(kept) < limit):
        chunk = near.by_place(start + np.flatnonzero(~gone[start : start + size]))
        directory = near.directory(kept)
        for worse, _ in near.pairs(near.runs(chunk, directory), directory):
            gone[worse] = True
        chunk = chunk[~gone[chunk]]
        directory = near.directory(chunk)
        runs = near.runs(chunk, directory)
        while runs.total > _MOST_PAIRS and size > 1:  # a crowd: come back for half of it
            size //= 2
            chunk = chunk[chunk < start + size]
            directory = near.directory(chunk)
            runs = near.runs(chunk, directory)
        overlapping = [(worse[better < worse], better[better < worse]) for worse, better in near.pairs(runs, directory)]
        if overlapping:
            _settle(gone, *(np.concatenate(ends) for ends in zip(*overlapping, strict=True)))
        kept = np.concatenate([kept, chunk[~gone[chunk]]])
        start, size = start + size, 2 * size
    dropped[solid[gone]] = True
    dropped[solid[start:]] = True
    return np.flatnonzero(~dropped)


def _settle(gone: NDArray[np.bool_], worse: NDArray[np.int64], better: NDArray[np.int64]) -> None:
    """Mark as ``gone`` the boxes that greedy suppression drops, given all overlapping pairs among boxes not yet gone.

    Each round keeps the boxes that no undecided box could still drop, and drops what they overlap: a few rounds do,
    but for a long chain of boxes each of which overlaps the next. Such a rest is settled one by one.
    """
    for _ in range(_MOST_ROUNDS):
        if not len(worse):
            return
        waiting = np.zeros(len(gone), dtype=bool)
        waiting[worse] = True
        decided = ~waiting[better]
        gone[worse[decided]] = True
        undecided = np.flatnonzero(~(decided | gone[worse] | gone[better]))
        worse, better = worse[undecided], better[undecided]
    best_first = np.argsort(better, kind="stable")
    worse, better = worse[best_first], better[best_first]
    starts = np.flatnonzero(np.diff(better, prepend=-1))
    for box, overlapped in zip(better[starts].tolist(), np.split(worse, starts[1:]), strict=False):
        if not gone[box]:
            gone[overlapped] = True
