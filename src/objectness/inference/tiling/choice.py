"""From the candidates of each scale to the ranked boxes of an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from objectness.calibration import Calibration
from objectness.engines import RankedBoxes
from objectness.engines.candidates import Candidates, select


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
        best = select(candidates, scale_hw, nms=nms, top=top, smallest_hw=(min_side / ratio_y, min_side / ratio_x))
        ratios = np.array([ratio_x, ratio_y, ratio_x, ratio_y])  # float64: one rounding
        boxes.append((best.boxes_xyxy * ratios).astype(np.float32))
        scores.append(best.scores)
    ranked = RankedBoxes(boxes[0], scores[0])
    if len(scales) > 1:
        joint = Candidates(np.concatenate(boxes), np.concatenate(scores), np.zeros(sum(map(len, scores)), np.int64))
        ranked = select(joint, size_hw, nms=nms, top=top, smallest_hw=(min_side, min_side))
    return ranked if calibration is None else RankedBoxes(ranked.boxes_xyxy, calibration(ranked.scores))
