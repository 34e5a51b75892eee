"""Mistakes of a detector at one score: which classes are confused, and where objects are lost.

D detections, M objects, K classes. All at IoU .5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from objectness.datasets.records import Record
from objectness.detections import Detections
from objectness.evaluation.detection.flat import Flat, flatten, overlapping
from objectness.evaluation.detection.matches import ALL, LEFT_OUT, RIGHT, Matches, coco_objects
from objectness.evaluation.hits import COVERED

FOUND, WRONG_CLASS, BELOW_SCORE, NO_PROPOSAL, SUPPRESSED = range(5)
FATES = ("found", "wrong class", "below the score", "no proposal", "suppressed")
"""Of an object, in the order of the codes above."""


@dataclass(frozen=True)
class OperatingPoint:
    """Figures of a detector that is used from one score on, all classes together.

    Attributes:
        score: The score.
        precision: Share of the detections that are right; None where there are none.
        recall: Share of the objects that are found; None where there are none.
        f1: Their harmonic mean.
    """

    score: float
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, eq=False)
class Mistakes:
    """Mistakes of one method.

    Attributes:
        point: The score from which on detections count, and what it gives.
        confusion: ``int64 (K + 1, K + 1)``: true class by row, named class by column; the last row counts detections
            where nothing is, the last column objects without a detection.
        fate: ``int8 (M,)`` of each object, one of ``FATES``; -1 for ignored ones.
        flat: The objects, and the detections that count, of any class.
        object_of: ``int64 (D,)`` object that each of them takes, whatever its class; -1 for none.
        has_proposals: Whether ``NO_PROPOSAL`` is about proposals; else it is about all detections.
    """

    point: OperatingPoint
    confusion: NDArray[np.int64]
    fate: NDArray[np.int8]
    flat: Flat
    object_of: NDArray[np.int64]
    has_proposals: bool


def operating_point(matches: Matches, score: float | None = None) -> OperatingPoint:
    """What a score gives; None for the score whose F1 is highest (of equals the highest score)."""
    outcome = matches.coco[ALL][0]
    order = np.argsort(-matches.flat.scores, kind="stable")
    order = order[outcome[order] != LEFT_OUT]
    scores = matches.flat.scores[order].astype(np.float64)
    objects = int(matches.counted[ALL].sum())
    right = np.cumsum(outcome[order] == RIGHT)
    f1 = 2 * right / (np.arange(1, len(order) + 1) + objects)
    if score is None:
        ends = np.flatnonzero(np.diff(scores, append=-np.inf))  # equal scores go together
        score = float(scores[ends[np.argmax(f1[ends])]]) if len(ends) else 0.0
    count = int((scores >= score).sum())
    found = int(right[count - 1]) if count else 0
    return OperatingPoint(
        score,
        found / count if count else None,
        found / objects if objects else None,
        2 * found / (count + objects) if count + objects else None,
    )


def mistakes(
    matches: Matches,
    detections: Mapping[int, Detections],
    records: Sequence[Record],
    class_names: Sequence[str],
    score: float | None = None,
    best_iou: NDArray[np.float64] | None = None,
) -> Mistakes:
    """Confusion of the classes, and the fate of every object.

    For the confusion, detections choose by score among the objects of all classes. An object is found where COCO's
    rule gives it a detection of its class. Of the others, in this order: a detection of another class overlaps it
    ("wrong class"); one of its class does, with a lower score ("below the score"); no proposal does ("no proposal");
    else the classifier saw a proposal and nothing came of it, or one box stands for two objects ("suppressed").

    Args:
        matches: Of these detections.
        detections: Image id -> detections.
        records: The ground truth.
        class_names: The classes of the records' ``class_ids``.
        score: From which on detections count; None for the score whose F1 is highest.
        best_iou: ``(M,)`` overlap of each object with the closest proposal, in the order of ``matches.flat``; None
            where the proposals are not known: then all detections stand for them.
    """
    point = operating_point(matches, score)
    chosen = {image_id: found.above(point.score) for image_id, found in detections.items()}
    flat = flatten(chosen, records, class_names, as_one=True)
    object_of = coco_objects(flat, COVERED)
    return Mistakes(
        point=point,
        confusion=_confusion(flat, object_of),
        fate=_fate(matches, flatten(detections, records, class_names, as_one=True), point.score, best_iou),
        flat=flat,
        object_of=object_of,
        has_proposals=best_iou is not None,
    )


def _confusion(flat: Flat, object_of: NDArray[np.int64]) -> NDArray[np.int64]:
    counts = np.zeros((flat.classes + 1, flat.classes + 1), dtype=np.int64)
    taken = object_of >= 0
    on_object = taken & ~np.append(flat.ignored, False)[object_of]
    np.add.at(counts, (flat.object_label[object_of[on_object]], flat.labels[on_object]), 1)
    np.add.at(counts, (np.full(int((~taken).sum()), flat.classes), flat.labels[~taken]), 1)
    lost = ~flat.ignored
    lost[object_of[taken]] = False
    np.add.at(counts, (flat.object_label[lost], np.full(int(lost.sum()), flat.classes)), 1)
    return counts


def _fate(matches: Matches, flat: Flat, score: float, best_iou: NDArray[np.float64] | None) -> NDArray[np.int8]:
    # Both hold the objects by image and class, so that these are the same positions.
    pairs = overlapping(flat, COVERED)
    own = flat.labels[pairs.detection] == flat.object_label[pairs.thing]
    high = flat.scores[pairs.detection] >= score
    others, low = np.zeros((2, len(flat.object_image)), dtype=np.bool_)
    others[pairs.thing[~own & high]] = True
    low[pairs.thing[own & ~high]] = True
    near = np.zeros(len(others), dtype=np.bool_)
    near[pairs.thing] = True
    if best_iou is not None:
        near = best_iou >= COVERED
    fate = np.where(others, WRONG_CLASS, np.where(low, BELOW_SCORE, np.where(near, SUPPRESSED, NO_PROPOSAL)))
    first = matches.coco_object[0]
    found = first[(first >= 0) & (matches.flat.scores >= score)]
    fate[found] = FOUND
    return np.where(matches.counted[ALL], fate, -1).astype(np.int8)
