"""From what an engine gives, in pixels of the resized image, to proposals on the photograph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from objectness import boxes
from objectness.engines import Candidates, Ranked
from objectness.proposals import Proposals


def select(
    candidates: Candidates,
    *,
    resized_hw: tuple[int, int],
    size_hw: tuple[int, int],
    top: int,
    score: float,
    nms: float,
    source: str | None = None,
) -> Proposals:
    """From candidates on the resized image to proposals on the photograph (paper, section 3.3).

    Candidates that are not finite or have no area inside the image go first, so that they cost no place. Each
    level is suppressed on its own; equal scores keep the order of the candidates.

    Args:
        candidates: As the network gave them.
        resized_hw: (height, width) of what the network saw.
        size_hw: (height, width) of the upright photograph.
        top: Keep at most this many.
        score: Keep scores of at least this.
        nms: Drop the worse of two boxes of a level whose IoU is above this.
        source: The photograph's file, to be carried along.

    Returns:
        Boxes in pixels of the photograph, best first.
    """
    finite = np.isfinite(candidates.boxes_xyxy).all(axis=1) & np.isfinite(candidates.scores)
    seen_xyxy = boxes.clip(np.where(finite[:, None], candidates.boxes_xyxy, 0), resized_hw)
    scaled_xyxy = _scaled(seen_xyxy, resized_hw, size_hw)
    usable = np.flatnonzero(finite & (candidates.scores >= score) & (boxes.area(scaled_xyxy) > 0))
    levels = candidates.levels[usable]
    best = usable[boxes.nms(seen_xyxy[usable], candidates.scores[usable], nms, limit=top, groups=levels)]
    return Proposals(scaled_xyxy[best], candidates.scores[best], size_hw, source)


def to_photograph(
    ranked: Ranked,
    *,
    resized_hw: tuple[int, int],
    size_hw: tuple[int, int],
    score: float = 0.0,
    source: str | None = None,
) -> Proposals:
    """From ranked boxes on the resized image to proposals on the photograph.

    Args:
        ranked: As an engine with suppression inside gives them.
        resized_hw: (height, width) of what the network saw.
        size_hw: (height, width) of the upright photograph.
        score: Keep scores of at least this.
        source: The photograph's file, to be carried along.

    Returns:
        Boxes in pixels of the photograph, best first; none without area.
    """
    scaled_xyxy = _scaled(ranked.boxes_xyxy, resized_hw, size_hw)
    kept = (ranked.scores >= score) & (boxes.area(scaled_xyxy) > 0)
    return Proposals(scaled_xyxy[kept], ranked.scores[kept], size_hw, source)


def _scaled(boxes_xyxy: boxes.Boxes, resized_hw: tuple[int, int], size_hw: tuple[int, int]) -> NDArray[np.float32]:
    """Boxes of the resized image in pixels of the photograph, clipped to it."""
    ratio_y, ratio_x = size_hw[0] / resized_hw[0], size_hw[1] / resized_hw[1]
    ratios = np.array([ratio_x, ratio_y, ratio_x, ratio_y])  # float64: one rounding, at the end
    scaled: NDArray[np.float32] = boxes.clip((boxes_xyxy * ratios).astype(np.float32), size_hw)
    return scaled
