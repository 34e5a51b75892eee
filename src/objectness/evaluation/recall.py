"""Average recall of proposals: COCO's definition, class-agnostic.

T IoU thresholds, K counts of proposals, N proposals of an image, M objects in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.boxes import iou
from objectness.datasets.records import Record
from objectness.errors import InputError
from objectness.evaluation.matching import matched_ranks
from objectness.proposals import Proposals

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, np.inf)}
"""Annotated areas in square pixels, both ends included as in COCO: an area of 1024 is small and medium."""

DEFAULT_KS = (1, 10, 100, 300, 1000)


@dataclass(frozen=True)
class RecallReport:
    """How many objects the best k proposals of each image find.

    All figures are shares in [0, 1], and None where there is no object to find.

    Attributes:
        ks: Numbers of proposals an image, ascending.
        ar: k -> AR@k: recall averaged over IoU .50, .55 … .95.
        ar_by_size: "small", "medium", "large" -> k -> AR@k of the objects of that annotated area.
        recall_at_iou: IoU (0.5, 0.55 … 0.95) -> k -> recall of all objects at that IoU.
        images: Images that were counted, with or without proposals.
        objects: Objects that were counted (no ignore regions).
        objects_by_size: The same by size; an object on the border between two sizes is in both.
    """

    ks: tuple[int, ...]
    ar: dict[int, float | None]
    ar_by_size: dict[str, dict[int, float | None]]
    recall_at_iou: dict[float, dict[int, float | None]]
    images: int
    objects: int
    objects_by_size: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Plain values for ``json.dump``: keys are text, nothing is NaN."""

        def by_k(values: Mapping[int, float | None]) -> dict[str, float | None]:
            return {str(k): value for k, value in values.items()}

        return {
            "images": self.images,
            "objects": self.objects,
            "objects_by_size": dict(self.objects_by_size),
            "ks": list(self.ks),
            "ar": by_k(self.ar),
            "ar_by_size": {size: by_k(values) for size, values in self.ar_by_size.items()},
            "recall_at_iou": {f"{level:.2f}": by_k(values) for level, values in self.recall_at_iou.items()},
        }


def average_recall(
    proposals: Mapping[int, Proposals], records: Sequence[Record], ks: Sequence[int] = DEFAULT_KS
) -> RecallReport:
    """Measure the average recall: what pycocotools' COCOeval says with ``useCats=0`` and ``maxDets=ks``.

    Every image counts: the objects of an image without proposals are missed ones. The top k is taken in each
    image, never over the data set. Ignore regions (crowds) need no care here: a proposal takes one only when
    no object is left for it, so they change precision but never recall. The same holds for objects outside
    the size asked for.

    Args:
        proposals: image id -> proposals in pixels of the original upright photograph.
        records: the ground truth; annotated areas decide the size.
        ks: how many proposals an image may use, in any order.

    Returns:
        The report; all values None where there is no object at all.

    Raises:
        InputError: proposals for an image that the records do not have, two records with one image id, or a k
            below 1.
    """
    tops = np.array(sorted({int(k) for k in ks}), dtype=np.int64)
    if not len(tops) or tops[0] < 1:
        raise InputError(f"Recall needs at least one k of 1 or more, not {list(ks)}.")
    _check_ids(proposals, records)
    hits = {size: np.zeros((len(IOU_THRESHOLDS), len(tops)), dtype=np.int64) for size in ("all", *SIZES)}
    objects = dict.fromkeys(hits, 0)
    for record in records:
        boxes, groups = _objects(record)
        found = proposals.get(record.image_id)
        overlaps = _overlaps(found, boxes, int(tops[-1])) if found is not None else np.zeros((0, len(boxes)))
        for size, members in groups.items():
            objects[size] += len(members)
            if len(members) and len(overlaps):
                ranks = matched_ranks(overlaps[:, members], IOU_THRESHOLDS)  # (T, M)
                hits[size] += (ranks[:, :, None] < tops).sum(axis=1)  # (T, M, K) -> (T, K)
    recall = {size: hits[size] / objects[size] if objects[size] else None for size in hits}
    steps = dict(zip(np.round(IOU_THRESHOLDS, 2).tolist(), range(len(IOU_THRESHOLDS)), strict=True))
    whole = recall["all"]
    return RecallReport(
        ks=tuple(tops.tolist()),
        ar=_by_k(tops, None if whole is None else whole.mean(axis=0)),
        ar_by_size={
            size: _by_k(tops, None if values is None else values.mean(axis=0))
            for size, values in recall.items()
            if size != "all"
        },
        recall_at_iou={level: _by_k(tops, None if whole is None else whole[step]) for level, step in steps.items()},
        images=len(records),
        objects=objects["all"],
        objects_by_size={size: objects[size] for size in SIZES},
    )


def _check_ids(proposals: Mapping[int, Proposals], records: Sequence[Record]) -> None:
    counts = Counter(record.image_id for record in records)
    unknown = [image_id for image_id in proposals if image_id not in counts]
    if unknown:
        more = f" (and for {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        raise InputError(
            f"There are proposals for image {unknown[0]}{more}, which the data set does not have: "
            "measure them on the data set and the split that they were made for."
        )
    image_id, times = counts.most_common(1)[0] if counts else (0, 0)
    if times > 1:
        raise InputError(f"The data set has {times} images with the id {image_id}: give each image an id of its own.")


def _objects(record: Record) -> tuple[NDArray[np.float64], dict[str, NDArray[np.intp]]]:
    """Boxes ``(M, 4)`` of the objects, class by class, and who of them belongs to which size."""
    # Their order matters only where a proposal overlaps two of them equally; this is pycocotools' order.
    order = np.argsort(record.class_ids, kind="stable")
    order = order[~record.ignore[order]]
    areas = record.areas[order]
    groups = {size: np.flatnonzero((areas >= low) & (areas <= high)) for size, (low, high) in SIZES.items()}
    return record.boxes_xyxy[order].astype(np.float64), {"all": np.arange(len(order)), **groups}


def _overlaps(proposals: Proposals, boxes_xyxy: NDArray[np.float64], count: int) -> NDArray[np.floating[Any]]:
    """IoU ``(N, M)`` of the best ``count`` proposals, best first; a box with a NaN overlaps nothing."""
    best = np.argsort(-proposals.scores, kind="stable")[:count]
    with np.errstate(invalid="ignore"):
        return iou(proposals.boxes_xyxy[best].astype(np.float64), boxes_xyxy)


def _by_k(tops: NDArray[np.int64], values: NDArray[np.float64] | None) -> dict[int, float | None]:
    return {k: None if values is None else float(values[index]) for index, k in enumerate(tops.tolist())}
