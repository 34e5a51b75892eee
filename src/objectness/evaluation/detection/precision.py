"""Average precision from outcomes in the order of scores, for one or many drawings of the images at once.

I images, N detections of one class, B drawings.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from objectness.evaluation.detection.matches import LEFT_OUT, RIGHT


class Rule(Enum):
    """Recalls at which precision is read."""

    COCO = "COCO: recall 0, .01 ... 1"
    VOC_2007 = "VOC 2007: recall 0, .1 ... 1"
    VOC_2010 = "VOC 2010: every recall that is reached"


RECALLS = {Rule.COCO: np.linspace(0, 1, 101), Rule.VOC_2007: np.arange(11) / 10}


def average_precision(
    outcomes: NDArray[np.int8],
    weights: NDArray[np.float64],
    objects: NDArray[np.float64],
    rule: Rule = Rule.COCO,
    taken: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Mean precision over recalls, the precision at a recall being the best at this or any higher one.

    Args:
        outcomes: ``(N,)`` WRONG, RIGHT or LEFT_OUT, best score first.
        weights: ``(B, N)`` how often each detection's image was drawn.
        objects: ``(B,)`` objects to be found in the images that were drawn.
        rule: Recalls that are averaged over.
        taken: ``(B, N)`` running sums of the weights, where they are known.

    Returns:
        ``(B,)``; NaN where there is no object to find.
    """
    recall, precision = curve(outcomes, weights, objects, taken)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    if rule is Rule.VOC_2010:
        share = np.diff(recall, axis=1, prepend=0.0)
    else:
        share = np.diff(_reached(recall, RECALLS[rule]), axis=1, prepend=0) / len(RECALLS[rule])
    return np.where(objects > 0, (best * share).sum(axis=1), np.nan)


def curve(
    outcomes: NDArray[np.int8],
    weights: NDArray[np.float64],
    objects: NDArray[np.float64],
    taken: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Recall and precision ``(B, R)`` at each of the R detections that are right, best score first; see above."""
    right, left_out = np.flatnonzero(outcomes == RIGHT), np.flatnonzero(outcomes == LEFT_OUT)
    counted = (np.cumsum(weights, axis=1) if taken is None else taken)[:, right]
    if len(left_out):
        skipped = np.cumsum(weights[:, left_out], axis=1)
        counted = counted - np.pad(skipped, ((0, 0), (1, 0)))[:, np.searchsorted(left_out, right)]
    found = np.cumsum(weights[:, right], axis=1)
    recall = np.divide(found, objects[:, None], out=np.zeros_like(found), where=objects[:, None] > 0)
    return recall, np.divide(found, counted, out=np.zeros_like(found), where=counted > 0)


def _reached(recall: NDArray[np.float64], steps: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many of the evenly spaced steps from 0 to 1 each recall reaches."""
    lower = (recall * (len(steps) - 1)).astype(np.int64)  # may be one too few or too many by rounding
    lower -= steps[lower] > recall
    return lower + 1 + (np.append(steps, np.inf)[lower + 1] <= recall)
