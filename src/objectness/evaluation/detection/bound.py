"""Bounds on average precision that the proposals set: what a classifier without a fault would reach on them.

M objects, T IoU thresholds, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from objectness.datasets.records import Record
from objectness.evaluation.detection.matches import ALL, Matches
from objectness.evaluation.detection.precision import RECALLS, Rule
from objectness.evaluation.detection.scores import over_classes
from objectness.evaluation.measurement import IOU_THRESHOLDS, check_ids, measure
from objectness.proposals import Proposals


@dataclass(frozen=True)
class Bound:
    """The best average precision given some proposals; None where there is no object to find.

    Attributes:
        ap: Mean over classes and IoU .50, .55 … .95.
        ap50: Mean over classes at IoU .5.
        ap75: The same at .75.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None


def closest_proposals(
    matches: Matches, proposals: Mapping[int, Proposals], records: Sequence[Record]
) -> NDArray[np.float64]:
    """Overlap ``(M,)`` of each object with the closest proposal, in the order of ``matches.flat``; 0 if ignored.

    Raises:
        InputError: proposals for an image that the records do not have.
    """
    check_ids(proposals, records)
    most = max([1, *(len(found) for found in proposals.values())])
    measured = measure(proposals, records, (most,))
    flat = matches.flat
    width = 1 + int(max(flat.object_number.max(initial=0), measured.number.max(initial=0)))
    keys = np.searchsorted(flat.image_ids, measured.image_ids[measured.image_of]) * width + measured.number
    order = np.argsort(keys)
    best = np.zeros(len(flat.object_image))
    counted = np.flatnonzero(~flat.ignored)
    own = flat.object_image[counted] * width + flat.object_number[counted]
    best[counted] = measured.best_iou[0][order[np.searchsorted(keys[order], own)]] if len(own) else 0
    return best


def upper_bound(matches: Matches, best_iou: NDArray[np.float64]) -> Bound:
    """COCO's average precision if every object that a proposal overlaps by the threshold is found, and nothing else is.

    Each object may have the closest proposal to itself, so that no naming of the proposals is better. A detector that
    also moves the boxes can be.
    """
    objects = matches.counted[ALL]
    label, reached = matches.flat.object_label[objects], best_iou[objects]
    classes = matches.flat.classes
    due = np.bincount(label, minlength=classes).astype(np.float64)
    best = np.full((1, len(IOU_THRESHOLDS), classes), np.nan)
    steps = RECALLS[Rule.COCO]
    for level, threshold in enumerate(IOU_THRESHOLDS.tolist()):
        found = np.bincount(label[reached >= threshold], minlength=classes)
        recall = np.divide(found, due, out=np.full(classes, np.nan), where=due > 0)
        share = np.searchsorted(steps, recall, "right") / len(steps)
        best[0, level] = np.where(due > 0, np.where(found > 0, share, 0), np.nan)
    means = [float(over_classes(part)[0]) for part in (best, best[:, :1], best[:, 5:6])]
    ap, ap50, ap75 = (None if np.isnan(value) else value for value in means)
    return Bound(ap, ap50, ap75)
