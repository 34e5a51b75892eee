"""Detections matched with objects as COCO and as Pascal VOC do it: each is right, wrong or left out.

D detections, M objects, P pairs, T IoU thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from objectness.datasets.records import Record
from objectness.detections import Detections
from objectness.evaluation.detection.flat import Flat, Pairs, box_areas, flatten, overlapping
from objectness.evaluation.groups import SIZES
from objectness.evaluation.matching import UNMATCHED
from objectness.evaluation.measurement import IOU_THRESHOLDS

WRONG, RIGHT, LEFT_OUT = 0, 1, 2
"""Of a detection: it finds no object; it finds one; it counts neither way."""

MOST = 100
"""Detections of a class in an image, at most, as COCO counts them; VOC counts all."""

VOC_IOU = 0.5
ALL = "all"
RANGES = {ALL: (0.0, np.inf), **SIZES}
"""Annotated areas in square pixels, both ends included."""

_CHOICES_AT_ONCE = 4_000_000


@dataclass(frozen=True, eq=False)
class Matches:
    """Outcome of every detection.

    Attributes:
        flat: The detections and objects.
        order: ``int64 (D,)`` detections by class, then by score; of equal scores those of earlier images first.
        starts: ``int64 (K + 1,)`` where each of the K classes begins in ``order``.
        coco: "all", "small", "medium", "large" -> ``int8 (T, D)`` outcome at IoU .50, .55 … .95; detections behind the
            best 100 of their image and class are left out.
        coco_object: ``int64 (T, D)`` the object that is found, of any size; -1 where there is none.
        counted: "all", "small", "medium", "large" -> ``bool (M,)`` objects that are to be found.
        voc: ``int8 (D,)`` outcome by VOC's rule at IoU .5.
        voc_counted: ``bool (M,)`` objects that are to be found by VOC's rule.
    """

    flat: Flat
    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    coco: Mapping[str, NDArray[np.int8]]
    coco_object: NDArray[np.int64]
    counted: Mapping[str, NDArray[np.bool_]]
    voc: NDArray[np.int8]
    voc_counted: NDArray[np.bool_]


def match(detections: Mapping[int, Detections], records: Sequence[Record], class_names: Sequence[str]) -> Matches:
    """Match the detections of every image with its objects.

    COCO: at each IoU threshold detections choose by score. Each takes the object of its class that it overlaps most,
    by the threshold or more, of those that are free (of equals the last); where there is none, an ignored one, and then
    it is left out. A crowd may be taken again and again, and the overlap with it is the share of the detection. For a
    size, objects of other sizes are ignored, and detections of other sizes that find nothing are left out. This is
    pycocotools' COCOeval.

    VOC: each detection is held against the object of its class that it overlaps most. It is right if it overlaps that
    by .5 or more and no better one has found it, left out if the object is difficult (or ignored), and otherwise wrong.
    VOC counts both end pixels (+1); that is the area of our boxes, whose right and bottom are exclusive.

    Args:
        detections: Image id -> detections, in any order; classes go by name.
        records: The ground truth; annotated areas decide the size.
        class_names: The classes of the records' ``class_ids``.

    Raises:
        InputError: detections for an image that the records do not have, or two records with one image id.
    """
    flat = flatten(detections, records, class_names)
    pairs = overlapping(flat, min(VOC_IOU, float(IOU_THRESHOLDS[0])))
    outcomes: dict[str, NDArray[np.int8]] = {}
    counted: dict[str, NDArray[np.bool_]] = {}
    whole = np.zeros((0, 0), dtype=np.int64)
    areas = box_areas(flat.boxes_xyxy)
    few = flat.ranks < MOST
    for name, (low, high) in RANGES.items():
        is_other = (flat.object_areas < low) | (flat.object_areas > high)
        ignored = flat.ignored | is_other
        chosen = _one_by_one(flat, _of(pairs, few), ignored)
        if name == ALL:
            whole = chosen
        elsewhere = (areas < low) | (areas > high)
        outcomes[name] = _outcome(chosen, ignored, elsewhere | ~few)
        counted[name] = ~ignored
    order = np.lexsort((-flat.scores, flat.labels))
    return Matches(
        flat=flat,
        order=order,
        starts=np.searchsorted(flat.labels[order], np.arange(flat.classes + 1)),
        coco=outcomes,
        coco_object=whole,
        counted=counted,
        voc=_voc(flat, pairs, order),
        voc_counted=~(flat.ignored | flat.difficult),
    )


def coco_objects(flat: Flat, iou_threshold: float) -> NDArray[np.int64]:
    """The object ``(D,)`` that each detection finds by COCO's rule at one IoU threshold, of any rank; -1 for none."""
    found: NDArray[np.int64] = _one_by_one(
        flat, overlapping(flat, iou_threshold), flat.ignored, np.array([iou_threshold])
    )[0]
    return found


def _of(pairs: Pairs, members: NDArray[np.bool_]) -> Pairs:
    keep = members[pairs.detection]
    return Pairs(pairs.detection[keep], pairs.thing[keep], pairs.overlap[keep])


def _outcome(
    chosen: NDArray[np.int64], ignored: NDArray[np.bool_], does_not_count: NDArray[np.bool_]
) -> NDArray[np.int8]:
    """Outcome ``(T, D)`` from the objects that were found."""
    found = chosen >= 0
    left_out = np.where(found, np.append(ignored, False)[chosen], does_not_count[None])
    return np.where(left_out, LEFT_OUT, np.where(found, RIGHT, WRONG)).astype(np.int8)


def _one_by_one(
    flat: Flat, pairs: Pairs, ignored: NDArray[np.bool_], thresholds: NDArray[np.float64] = IOU_THRESHOLDS
) -> NDArray[np.int64]:
    """The object ``(T, D)`` that each detection takes where they choose one after another; -1 for none.

    All choose at once, as in :func:`objectness.evaluation.matching.matched_ranks`: an object keeps the best detection
    that asks for it, the others ask for their next. A crowd keeps all.
    """
    order = np.lexsort((-pairs.thing, -pairs.overlap, ignored[pairs.thing], pairs.detection))
    detection, thing, overlap = pairs.detection[order], pairs.thing[order], pairs.overlap[order]
    count, things, levels = len(flat.image_of), len(flat.object_image), len(thresholds)
    chosen = np.full((levels, count), -1, dtype=np.int64)
    limits = np.minimum(thresholds, 1 - 1e-10)  # pycocotools' own, so that rounding does not part equal boxes
    # An image is never parted: its detections choose together.
    firsts = np.flatnonzero(np.diff(flat.image_of[detection], prepend=-1))
    start = 0
    while start < len(detection):
        later = firsts[np.searchsorted(firsts, start + _CHOICES_AT_ONCE // levels) :]
        stop = int(later[0]) if len(later) else len(detection)
        level, pair = np.nonzero(overlap[None, start:stop] >= limits[:, None])
        rank = detection[start:stop][pair]
        asking, wanted = level * count + rank, level * things + thing[start:stop][pair]
        is_crowd = flat.ignored[thing[start:stop][pair]]
        held = np.full(levels * things, UNMATCHED, dtype=np.int64)
        while True:
            first = np.flatnonzero(np.diff(asking, prepend=-1))[::-1]  # first choices, worst rank first
            held[wanted[first]] = rank[first]  # the last one written stays: the best rank
            stays = (rank <= held[wanted]) | is_crowd
            if stays.all():
                chosen.reshape(-1)[asking[first]] = wanted[first] % max(things, 1)
                break
            rank, asking, wanted, is_crowd = rank[stays], asking[stays], wanted[stays], is_crowd[stays]
        start = stop
    return chosen


def _voc(flat: Flat, pairs: Pairs, order: NDArray[np.int64]) -> NDArray[np.int8]:
    """Outcome ``(D,)`` by VOC's rule."""
    outcome = np.full(len(flat.image_of), WRONG, dtype=np.int8)
    by_overlap = np.lexsort((pairs.thing, -pairs.overlap, flat.ignored[pairs.thing], pairs.detection))
    # Of equals the first; a region that is ignored only where there is no object.
    best = by_overlap[np.flatnonzero(np.diff(pairs.detection[by_overlap], prepend=-1))]
    detection, thing = pairs.detection[best], pairs.thing[best]
    skipped = (flat.ignored | flat.difficult)[thing]
    outcome[detection[skipped]] = LEFT_OUT
    detection, thing = detection[~skipped], thing[~skipped]
    # Within an image and class detections come best first, so the first of an object is the one that finds it.
    _, first = np.unique(thing, return_index=True)
    outcome[detection[first]] = RIGHT
    return outcome
