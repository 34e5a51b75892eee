"""Candidates of a network without suppression, and their selection in NumPy (paper, section 3.3). N candidates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from objectness.boxes import clip
from objectness.boxes import nms as nms_of_groups
from objectness.engines.protocol import RankedBoxes, no_finite_box

ROUNDING = 1e-5
"""Share by which a side may be shorter than the shortest that counts, as rounding leaves it."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """Boxes before non-maximum suppression.

    Attributes:
        boxes_xyxy: ``float32 (N, 4)`` in pixels of the resized image.
        scores: ``float32 (N,)`` probabilities in [0, 1], in any order.
        levels: ``int64 (N,)``: feature level of each box; each level is suppressed alone.
    """

    boxes_xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    levels: NDArray[np.int64]

    def __post_init__(self) -> None:
        count = len(self.scores)
        shapes = (self.boxes_xyxy.shape, self.scores.shape, self.levels.shape)
        if shapes != ((count, 4), (count,), (count,)):
            raise ValueError(f"Candidates have shapes {shapes}, expected (N, 4), (N,) and (N,).")


def select(
    candidates: Candidates,
    size_hw: tuple[int, int],
    *,
    nms: float,
    top: int,
    smallest_hw: tuple[float, float] = (0.0, 0.0),
) -> RankedBoxes:
    """Clip, drop unusable boxes, suppress each level alone, and take the best of all levels.

    Boxes that are not finite, have no area or are too small go first, so that they take no place. Equal scores keep the
    order of the candidates.

    Args:
        candidates: From the network.
        size_hw: (height, width) of the resized image.
        nms: A box is dropped when its IoU with a better one of its level is above this.
        top: At most this many boxes.
        smallest_hw: Height and width in pixels below which a box is dropped.

    Raises:
        InputError: No candidate is finite, and there are some.
    """
    finite = np.isfinite(candidates.boxes_xyxy).all(axis=1) & np.isfinite(candidates.scores)
    if len(finite) and not finite.any():
        raise no_finite_box()
    clipped = clip(np.where(finite[:, None], candidates.boxes_xyxy, 0), size_hw)
    width, height = (clipped[:, 2:] - clipped[:, :2]).T
    large = (height >= smallest_hw[0] * (1 - ROUNDING)) & (width >= smallest_hw[1] * (1 - ROUNDING))
    usable = np.flatnonzero(finite & large & (height > 0) & (width > 0))
    scores, levels = candidates.scores[usable], candidates.levels[usable]
    best = usable[nms_of_groups(clipped[usable], scores, nms, limit=top, groups=levels)]
    return RankedBoxes(clipped[best], candidates.scores[best])
