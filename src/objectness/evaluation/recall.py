"""Average recall of proposals: COCO's definition, class-agnostic. The short report that training prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from objectness.datasets.records import Record
from objectness.evaluation import per_object
from objectness.evaluation.groups import SIZES
from objectness.evaluation.measurement import DEFAULT_KS, IOU_THRESHOLDS, SIZE, Measurement, measure
from objectness.proposals import Proposals


@dataclass(frozen=True)
class RecallReport:
    """Share of the objects that the best k proposals of each image find.

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

        def by_k(figures: Mapping[int, float | None]) -> dict[str, float | None]:
            return {str(k): figure for k, figure in figures.items()}

        return {
            "images": self.images,
            "objects": self.objects,
            "objects_by_size": dict(self.objects_by_size),
            "ks": list(self.ks),
            "ar": by_k(self.ar),
            "ar_by_size": {size: by_k(figures) for size, figures in self.ar_by_size.items()},
            "recall_at_iou": {f"{level:.2f}": by_k(figures) for level, figures in self.recall_at_iou.items()},
        }


def average_recall(
    proposals: Mapping[int, Proposals], records: Sequence[Record], ks: Sequence[int] = DEFAULT_KS
) -> RecallReport:
    """Measure the average recall: what pycocotools' COCOeval says with ``useCats=0`` and ``maxDets=ks``.

    Every image counts: the objects of an image without proposals are missed ones. The top k is taken in each
    image, never over the data set.

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
    return recall_report(measure(proposals, records, ks))


def recall_report(measured: Measurement) -> RecallReport:
    """The average recall of a measurement."""
    ks = measured.ks

    def by_k(figures: Sequence[float | None]) -> dict[int, float | None]:
        return dict(zip(ks, figures, strict=True))

    members = measured.sizes()[SIZE]
    return RecallReport(
        ks=ks,
        ar=by_k(per_object.mean(per_object.ar(measured.ranks, ks))),
        ar_by_size={
            size: by_k(per_object.mean(per_object.ar(ranks, ks), members[size]))
            for size, ranks in measured.ranks_by_size[SIZE].items()
        },
        recall_at_iou={
            level: by_k(per_object.mean(per_object.recall(measured, level)))
            for level in np.round(IOU_THRESHOLDS, 2).tolist()
        },
        images=measured.images,
        objects=measured.objects,
        objects_by_size={size: int(members[size].sum()) for size in SIZES},
    )
