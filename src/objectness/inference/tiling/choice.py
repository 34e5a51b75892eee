"""From the candidates of each scale to the ranked boxes of an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from objectness.calibration import Calibration
from objectness.engines import RankedBoxes
from objectness.engines.candidates import Candidates, select

Place = Literal["smaller", "reference", "larger"]
"""A scale beside the one that counts most: the image's own size in tiles, the working size of a photograph."""

_SMALLEST = 2.0  # times the smallest anchor, measured on mosaics: 1.3 and 2.7 are worse (docs/experiments/LOG.md)


def of_fitting_size(found: Candidates, place: Place, anchor_sizes: tuple[float, float]) -> Candidates:
    """The candidates that a scale is there for.

    Smaller scales leave small objects to the finer ones. Scales larger than the reference leave large objects to it:
    parts of these score high there.

    Args:
        found: Of one scale, in its pixels.
        place: Of the scale.
        anchor_sizes: Square roots of the areas of the smallest and the largest anchor.
    """
    if place == "reference":
        return found
    sides = found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2]
    sizes = np.sqrt(sides.prod(axis=1))
    fits = sizes >= _SMALLEST * anchor_sizes[0] if place == "smaller" else sizes < anchor_sizes[1]
    return Candidates(found.boxes_xyxy[fits], found.scores[fits], found.levels[fits])


def choose(
    scales: Sequence[tuple[tuple[int, int], Candidates]],
    size_hw: tuple[int, int],
    *,
    nms: float,
    top: int,
    min_side: float,
    calibration: Calibration | None,
) -> RankedBoxes:
    """Suppress each level of each scale, then all scales together, and take the best.

    Args:
        scales: (height, width) of the image and its candidates there, one or several.
        size_hw: (height, width) of the image itself.
        nms: A box is dropped when its IoU with a better one is above this.
        top: At most this many boxes.
        min_side: Shortest side of a box in pixels of the image itself.
        calibration: Of the scores.

    Returns:
        Boxes in pixels of the image itself.

    Raises:
        InputError: No candidate is finite, and there are some.
    """
    boxes, scores = [], []
    for scale_hw, candidates in scales:
        ratio_y, ratio_x = size_hw[0] / scale_hw[0], size_hw[1] / scale_hw[1]
        best = _best(candidates, scale_hw, nms, top, (min_side / ratio_y, min_side / ratio_x))
        ratios = np.array([ratio_x, ratio_y, ratio_x, ratio_y])  # float64: one rounding
        boxes.append((best.boxes_xyxy * ratios).astype(np.float32))
        scores.append(best.scores)
    ranked = RankedBoxes(boxes[0], scores[0])
    if len(scales) > 1:
        joint = Candidates(np.concatenate(boxes), np.concatenate(scores), np.zeros(sum(map(len, scores)), np.int64))
        ranked = select(joint, size_hw, nms=nms, top=top, smallest_hw=(min_side, min_side))
    return ranked if calibration is None else RankedBoxes(ranked.boxes_xyxy, calibration(ranked.scores))


def _best(
    candidates: Candidates, size_hw: tuple[int, int], nms: float, top: int, smallest_hw: tuple[float, float]
) -> RankedBoxes:
    """As ``select``, level after level: the levels do not suppress one another, and memory is that of one of them."""
    parts = []
    for level in np.unique(candidates.levels):
        own = np.flatnonzero(candidates.levels == level)
        part = Candidates(candidates.boxes_xyxy[own], candidates.scores[own], candidates.levels[own])
        parts.append(select(part, size_hw, nms=nms, top=top, smallest_hw=smallest_hw))
    if not parts:
        return RankedBoxes(np.empty((0, 4), np.float32), np.empty(0, np.float32))
    scores = np.concatenate([part.scores for part in parts])
    order = np.argsort(-scores, kind="stable")[:top]  # levels follow one another, as in ``Candidates``
    return RankedBoxes(np.concatenate([part.boxes_xyxy for part in parts])[order], scores[order])
