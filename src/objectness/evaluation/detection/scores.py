"""The figures of a matching, in all images or in images drawn with replacement.

I images, T IoU thresholds, K classes, B drawings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from objectness.evaluation.detection.matches import ALL, LEFT_OUT, MOST, RANGES, RIGHT, Matches
from objectness.evaluation.detection.precision import Rule, average_precision
from objectness.evaluation.measurement import IOU_THRESHOLDS

MOST_DETECTIONS = (1, 10, MOST)
"""Detections of a class in an image for average recall."""

_AT_ONCE = 4_000_000


@dataclass(frozen=True, eq=False)
class Scores:
    """Figures of each class; NaN where a class has no object to find.

    Attributes:
        ap: "all", "small", "medium", "large" -> ``(B, T, K)`` average precision by COCO's rule.
        recall: The same names -> number of detections -> ``(B, K)`` share of the objects that are found, mean over IoU.
        voc: VOC's two rules -> ``(B, K)`` average precision at IoU .5.
    """

    ap: Mapping[str, NDArray[np.float64]]
    recall: Mapping[str, Mapping[int, NDArray[np.float64]]]
    voc: Mapping[Rule, NDArray[np.float64]]


class Scorer:
    """The figures of one matching for any drawing of its images.

    Args:
        matches: The outcomes.
    """

    def __init__(self, matches: Matches) -> None:
        self._matches = matches

    @cached_property
    def objects(self) -> dict[str, NDArray[np.float64]]:
        """Name of a size, and "voc" -> ``(I, K)`` objects to be found."""
        counted = {**self._matches.counted, "voc": self._matches.voc_counted}
        return {name: self._by_image(mask) for name, mask in counted.items()}

    def __call__(self, weights: NDArray[np.float64]) -> Scores:
        """The figures where each image was drawn so many times.

        Args:
            weights: ``(B, I)``.
        """
        drawings, levels, classes = len(weights), len(IOU_THRESHOLDS), self._matches.flat.classes
        objects = {name: weights @ counts for name, counts in self.objects.items()}
        shape = (drawings, levels, classes)
        ap = {name: np.full(shape, np.nan) for name in RANGES}
        voc = {rule: np.full((drawings, classes), np.nan) for rule in (Rule.VOC_2007, Rule.VOC_2010)}
        for label in range(classes):
            members = self._members(label)
            images = self._matches.flat.image_of[members]
            step = max(1, _AT_ONCE // max(1, len(members)))
            for start in range(0, drawings, step):
                rows = slice(start, start + step)
                drawn = weights[rows][:, images]
                for name, outcomes in self._matches.coco.items():
                    own = outcomes[:, members]
                    due = objects[name][rows, label]
                    if not due.any():
                        continue
                    # Detections that count at no threshold move nothing.
                    kept = (own != LEFT_OUT).any(axis=0)
                    part = drawn if kept.all() else drawn[:, kept]
                    taken = np.cumsum(part, axis=1)
                    for level in range(levels):
                        found = average_precision(own[level, kept], part, due, taken=taken)
                        ap[name][rows, level, label] = found
                due, taken = objects["voc"][rows, label], np.cumsum(drawn, axis=1)
                for rule, values in voc.items():
                    values[rows, label] = average_precision(self._matches.voc[members], drawn, due, rule, taken)
        return Scores(ap, self._recalls(weights, objects), voc)

    def _recalls(
        self, weights: NDArray[np.float64], objects: Mapping[str, NDArray[np.float64]]
    ) -> dict[str, dict[int, NDArray[np.float64]]]:
        found: dict[str, dict[int, NDArray[np.float64]]] = {}
        for name, outcomes in self._matches.coco.items():
            due = objects[name]
            found[name] = {}
            for most in MOST_DETECTIONS:
                counts = weights @ self._found(outcomes, self._matches.flat.ranks < most)
                found[name][most] = np.divide(counts, due, out=np.full_like(counts, np.nan), where=due > 0)
        return found

    def _found(self, outcomes: NDArray[np.int8], few: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Objects that are found ``(I, K)``, mean over the thresholds."""
        flat = self._matches.flat
        tables = [
            _table(flat.image_of[right], flat.labels[right], len(flat.image_ids), flat.classes)
            for right in (outcomes == RIGHT) & few
        ]
        mean: NDArray[np.float64] = np.mean(tables, axis=0)
        return mean

    def _by_image(self, counted: NDArray[np.bool_]) -> NDArray[np.float64]:
        flat = self._matches.flat
        return _table(flat.object_image[counted], flat.object_label[counted], len(flat.image_ids), flat.classes)

    def _members(self, label: int) -> NDArray[np.int64]:
        """The detections of a class by score, up to the last that is right by any rule: the rest moves nothing."""
        members = self._matches.order[self._matches.starts[label] : self._matches.starts[label + 1]]
        right = self._is_right[members]
        return members[: len(right) - int(np.argmax(right[::-1]))] if right.any() else members[:0]

    @cached_property
    def _is_right(self) -> NDArray[np.bool_]:
        outcomes = [self._matches.voc[None], *self._matches.coco.values()]
        right: NDArray[np.bool_] = np.any([(outcome == RIGHT).any(axis=0) for outcome in outcomes], axis=0)
        return right


def _table(image: NDArray[np.int64], label: NDArray[np.int64], images: int, classes: int) -> NDArray[np.float64]:
    """Counts ``(I, K)``."""
    return np.bincount(image * classes + label, minlength=images * classes).reshape(images, classes).astype(np.float64)


def over_classes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over all but the first axis of what there is ``(B,)``; NaN where there is nothing."""
    flat = values.reshape(len(values), -1)
    there = ~np.isnan(flat)
    counts = there.sum(axis=1)
    sums = np.where(there, flat, 0).sum(axis=1)
    mean: NDArray[np.float64] = np.divide(sums, counts, out=np.full(len(flat), np.nan), where=counts > 0)
    return mean


__all__ = ["ALL", "MOST_DETECTIONS", "Scorer", "Scores", "over_classes"]
