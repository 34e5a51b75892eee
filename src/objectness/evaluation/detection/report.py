"""Mean average precision of detections in one value: what COCO and VOC print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.datasets.records import Record
from objectness.detections import Detections
from objectness.evaluation.detection.matches import ALL, Matches, match
from objectness.evaluation.detection.precision import Rule
from objectness.evaluation.detection.scores import MOST_DETECTIONS, Scorer, Scores, over_classes
from objectness.evaluation.groups import SIZES
from objectness.evaluation.measurement import IOU_THRESHOLDS


@dataclass(frozen=True)
class PrecisionReport:
    """Average precision and recall of named boxes.

    All figures are shares in [0, 1], and None where there is no object to find. Means are over the classes that have an
    object to find.

    Attributes:
        ap: COCO's mAP: over classes and IoU .50, .55 … .95.
        ap_at_iou: IoU (0.5, 0.55 … 0.95) -> mean over classes.
        ap_by_size: "small", "medium", "large" -> mean over classes and IoU.
        ap_by_class: Class -> mean over IoU; only classes that have an object to find.
        ap50_by_class: Class -> average precision at IoU .5.
        ar: 1, 10, 100 detections of a class in an image -> average recall over classes and IoU.
        ar_by_size: "small", "medium", "large" -> average recall with 100 detections.
        voc_2007: VOC's mAP at IoU .5, mean over eleven recalls.
        voc_2010: VOC's mAP at IoU .5, area under the curve.
        images: Images that were counted, with or without detections.
        objects: Objects that were counted (no ignore regions).
    """

    ap: float | None
    ap_at_iou: dict[float, float | None]
    ap_by_size: dict[str, float | None]
    ap_by_class: dict[str, float]
    ap50_by_class: dict[str, float]
    ar: dict[int, float | None]
    ar_by_size: dict[str, float | None]
    voc_2007: float | None
    voc_2010: float | None
    images: int
    objects: int

    def to_json(self) -> dict[str, Any]:
        """Plain values for ``json.dump``: keys are text, nothing is NaN."""
        return {
            "images": self.images,
            "objects": self.objects,
            "ap": self.ap,
            "ap_at_iou": {f"{level:.2f}": value for level, value in self.ap_at_iou.items()},
            "ap_by_size": dict(self.ap_by_size),
            "ap_by_class": dict(self.ap_by_class),
            "ap50_by_class": dict(self.ap50_by_class),
            "ar": {str(count): value for count, value in self.ar.items()},
            "ar_by_size": dict(self.ar_by_size),
            "voc_2007": self.voc_2007,
            "voc_2010": self.voc_2010,
        }


def average_precision(
    detections: Mapping[int, Detections], records: Sequence[Record], class_names: Sequence[str]
) -> PrecisionReport:
    """Measure mean average precision: what pycocotools' COCOeval says, and VOC's two rules beside it.

    Every image counts. Detections of classes that are none of ``class_names`` are left out, as pycocotools does it;
    classes that have no object to find are in no mean.

    Args:
        detections: Image id -> detections in pixels of the original upright photograph.
        records: The ground truth; annotated areas decide the size.
        class_names: The classes of the records' ``class_ids``.

    Raises:
        InputError: detections for an image that the records do not have, or two records with one image id.
    """
    return precision_report(match(detections, records, class_names), class_names)


def precision_report(matches: Matches, class_names: Sequence[str]) -> PrecisionReport:
    """The figures of a matching."""
    scores = Scorer(matches)(np.ones((1, len(matches.flat.image_ids))))
    names = unique_class_names(class_names, matches.flat.classes)
    return PrecisionReport(
        ap=_mean(scores.ap[ALL]),
        ap_at_iou={
            level: _mean(scores.ap[ALL][:, index]) for index, level in enumerate(np.round(IOU_THRESHOLDS, 2).tolist())
        },
        ap_by_size={size: _mean(scores.ap[size]) for size in SIZES},
        ap_by_class=_by_class(scores.ap[ALL][0].mean(axis=0), names),
        ap50_by_class=_by_class(scores.ap[ALL][0, 0], names),
        ar={count: _mean(scores.recall[ALL][count]) for count in MOST_DETECTIONS},
        ar_by_size={size: _mean(scores.recall[size][MOST_DETECTIONS[-1]]) for size in SIZES},
        voc_2007=_mean(scores.voc[Rule.VOC_2007]),
        voc_2010=_mean(scores.voc[Rule.VOC_2010]),
        images=len(matches.flat.image_ids),
        objects=int(matches.counted[ALL].sum()),
    )


def unique_class_names(class_names: Sequence[str], classes: int) -> tuple[str, ...]:
    """A name for each class, no two alike; a class that has no name is called by its number."""
    names = [class_names[label] if label < len(class_names) else f"class {label}" for label in range(classes)]
    return tuple(f"{name} ({label})" if names.count(name) > 1 else name for label, name in enumerate(names))


def _mean(values: NDArray[np.float64]) -> float | None:
    value = float(over_classes(values)[0])
    return None if np.isnan(value) else value


def _by_class(values: NDArray[np.float64], names: Sequence[str]) -> dict[str, float]:
    return {name: float(value) for name, value in zip(names, values, strict=True) if not np.isnan(value)}


__all__ = ["PrecisionReport", "Scores", "average_precision", "precision_report", "unique_class_names"]
