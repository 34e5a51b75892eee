"""Number of proposals that finds a given share of the objects, and the score threshold for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from objectness.evaluation.matching import UNMATCHED
from objectness.evaluation.measurement import Measurement

RECALLS = (0.5, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True)
class Budget:
    """Cost of recall r for two ways of choosing proposals.

    Attributes:
        recall: r, the share of the objects to be found.
        iou: At this overlap.
        per_image: The smallest k whose top k of each image find it; None where all that were looked at do not.
        score: The highest threshold whose proposals of at least that score find it; None alike, and where the
            objects are found by proposals without a finite score only.
        per_image_at_score: Proposals of at least that score, on average over the images.
    """

    recall: float
    iou: float
    per_image: int | None
    score: float | None
    per_image_at_score: float | None


def budget(measured: Measurement, recall: float, iou_threshold: float = 0.5) -> Budget:
    """Number of proposals that gives recall ``recall`` on this data.

    A proposal's match does not depend on those that score less, so one matching answers for every k and for
    every threshold.

    Args:
        measured: Its largest k is the most that the answer can be.
        recall: Above 0 and at most 1.
        iou_threshold: One of .50, .55 … .95.
    """
    ranks = measured.ranks_at(iou_threshold)
    needed = int(np.ceil(recall * len(ranks) - 1e-9))
    if needed < 1 or int((ranks != UNMATCHED).sum()) < needed:
        return Budget(recall, iou_threshold, None, None, None)
    per_image = int(np.partition(ranks, needed - 1)[needed - 1]) + 1
    found = measured.scores_at(ranks)
    found = found[np.isfinite(found)]
    if len(found) < needed:
        return Budget(recall, iou_threshold, per_image, None, None)
    score = float(-np.partition(-found, needed - 1)[needed - 1])
    kept = int((measured.scores >= score).sum())
    return Budget(recall, iou_threshold, per_image, score, kept / measured.images)
