"""From what an engine gives, in pixels of the resized image, to proposals on the photograph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from objectness import boxes
from objectness.engines import Candidates, Ranked
from objectness.errors import InputError
from objectness.proposals import Proposals

MIN_SIDE = 1.0
"""Pixels of the photograph: a narrower or lower box holds no whole pixel, and so nothing that anybody can point to."""


def select(
    candidates: Candidates,
    *,
    resized_hw: tuple[int, int],
    size_hw: tuple[int, int],
    top: int,
    score: float,
    nms: float,
    min_side: float = MIN_SIDE,
    source: str | None = None,
) -> Proposals:
    """From candidates on the resized image to proposals on the photograph (paper, section 3.3).

    Candidates that are not finite or too small on the photograph go first, so that they cost no place. Each
    level is suppressed on its own; equal scores keep the order of the candidates.

    Args:
        candidates: As the network gave them.
        resized_hw: (height, width) of what the network saw.
        size_hw: (height, width) of the upright photograph.
        top: Keep at most this many.
        score: Keep scores of at least this.
        nms: Drop the worse of two boxes of a level whose IoU is above this.
        min_side: Drop boxes that are less wide or high than this in pixels of the photograph; 0 keeps all with an area.
        source: The photograph's file, to be carried along.

    Returns:
        Boxes in pixels of the photograph, best first.

    Raises:
        InputError: No candidate is finite, and there are some.
    """
    finite = _finite(candidates.boxes_xyxy, candidates.scores)
    seen_xyxy = boxes.clip(np.where(finite[:, None], candidates.boxes_xyxy, 0), resized_hw)
    scaled_xyxy = _scaled(seen_xyxy, resized_hw, size_hw)
    usable = np.flatnonzero(finite & (candidates.scores >= score) & _large_enough(scaled_xyxy, min_side))
    levels = candidates.levels[usable]
    best = usable[boxes.nms(seen_xyxy[usable], candidates.scores[usable], nms, limit=top, groups=levels)]
    return Proposals(scaled_xyxy[best], candidates.scores[best], size_hw, source)


def to_photograph(
    ranked: Ranked,
    *,
    resized_hw: tuple[int, int],
    size_hw: tuple[int, int],
    score: float = 0.0,
    min_side: float = MIN_SIDE,
    source: str | None = None,
) -> Proposals:
    """From ranked boxes on the resized image to proposals on the photograph.

    Args:
        ranked: As an engine with suppression inside gives them.
        resized_hw: (height, width) of what the network saw.
        size_hw: (height, width) of the upright photograph.
        score: Keep scores of at least this.
        min_side: See :func:`select`.
        source: The photograph's file, to be carried along.

    Returns:
        Boxes in pixels of the photograph, best first; fewer than were ranked where some are too small.

    Raises:
        InputError: No box and score are finite, and there are some.
    """
    _finite(ranked.boxes_xyxy, ranked.scores)
    scaled_xyxy = _scaled(ranked.boxes_xyxy, resized_hw, size_hw)
    kept = (ranked.scores >= score) & _large_enough(scaled_xyxy, min_side)
    return Proposals(scaled_xyxy[kept], ranked.scores[kept], size_hw, source)


def _finite(boxes_xyxy: boxes.Boxes, scores: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which boxes and scores are finite numbers; none at all is no photograph without objects but a broken model."""
    finite: NDArray[np.bool_] = np.isfinite(boxes_xyxy).all(axis=1) & np.isfinite(scores)
    if len(finite) and not finite.any():
        raise InputError("the model gives no box and score that are finite numbers; export it again, or take another.")
    return finite


def _scaled(boxes_xyxy: boxes.Boxes, resized_hw: tuple[int, int], size_hw: tuple[int, int]) -> NDArray[np.float32]:
    """Boxes of the resized image in pixels of the photograph, clipped to it."""
    ratio_y, ratio_x = size_hw[0] / resized_hw[0], size_hw[1] / resized_hw[1]
    ratios = np.array([ratio_x, ratio_y, ratio_x, ratio_y])  # float64: one rounding, at the end
    return boxes.clip(boxes_xyxy * ratios, size_hw).astype(np.float32)


def _large_enough(boxes_xyxy: boxes.Boxes, min_side: float) -> NDArray[np.bool_]:
    """Which boxes have an area and two sides of at least ``min_side``; a hair below it, as rounding leaves, counts."""
    smallest: NDArray[np.float32] = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).min(axis=1, initial=np.inf)
    return (smallest >= min_side * (1 - 1e-5)) & (smallest > 0)
