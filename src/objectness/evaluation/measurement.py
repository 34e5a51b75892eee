"""Proposals matched with the ground truth, once: the numbers behind all tables.

I images, M objects (no ignore regions), P proposals, T IoU thresholds, K counts of proposals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectness.boxes import iou
from objectness.datasets.records import Record
from objectness.errors import InputError
from objectness.evaluation import best_overlap, groups
from objectness.evaluation.hits import hits_and_ignored
from objectness.evaluation.matching import UNMATCHED, matched_ranks
from objectness.proposals import Proposals

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
DEFAULT_KS = (1, 10, 100, 300, 1000)
SIZE, RELATIVE_SIZE = "size", "relative size"
_ROW_BY_ROW = ("ranks", "best_iou", "closest_rank", "one_to_one_iou")  # objects run along the second axis


@dataclass(frozen=True, eq=False)
class Measurement:
    """Overlaps of the best proposals of one method with the objects of a data set.

    Attributes:
        ks: Counts of proposals an image, ascending; no more than the last are measured.
        image_ids: ``int64 (I,)``.
        image_hw: ``float64 (I, 2)``; NaN where the size is not known.
        counts: ``int64 (I,)`` proposals that were measured.
        image_of: ``int64 (M,)`` position of each object's image; ascending.
        number: ``int64 (M,)`` position of the object in its record.
        boxes_xyxy: ``float64 (M, 4)`` objects.
        class_ids: ``int64 (M,)``.
        areas: ``float64 (M,)`` annotated areas in square pixels.
        ranks: ``int64 (T, M)`` rank from 0 of the proposal that finds the object by COCO's rule at .50:.05:.95;
            ``UNMATCHED`` where none does.
        ranks_by_size: "size" and "relative size" -> label -> the same ``(T, M)`` as COCO does it for an area
            range: objects of other sizes take no proposal (and are ``UNMATCHED``).
        best_iou: ``float64 (K, M)`` largest overlap with any of the top k.
        closest_rank: ``int64 (K, M)`` its rank; -1 where nothing overlaps.
        one_to_one_iou: ``float64 (K, M)`` overlap with a proposal of its own, largest pairs first.
        scores: ``float32 (P,)`` image after image, best first.
        is_hit: ``bool (P,)`` whether the proposal overlaps an object by IoU .5 or more.
        ignored: ``bool (P,)`` whether half of it or more lies in an ignore region, and it hits no object.
    """

    ks: tuple[int, ...]
    image_ids: NDArray[np.int64]
    image_hw: NDArray[np.float64]
    counts: NDArray[np.int64]
    image_of: NDArray[np.int64]
    number: NDArray[np.int64]
    boxes_xyxy: NDArray[np.float64]
    class_ids: NDArray[np.int64]
    areas: NDArray[np.float64]
    ranks: NDArray[np.int64]
    ranks_by_size: dict[str, dict[str, NDArray[np.int64]]]
    best_iou: NDArray[np.float64]
    closest_rank: NDArray[np.int64]
    one_to_one_iou: NDArray[np.float64]
    scores: NDArray[np.float32]
    is_hit: NDArray[np.bool_]
    ignored: NDArray[np.bool_]

    @property
    def images(self) -> int:
        """I."""
        return len(self.image_ids)

    @property
    def objects(self) -> int:
        """M."""
        return len(self.image_of)

    def sizes(self) -> dict[str, groups.Groups]:
        """The members of the groups of ``ranks_by_size``."""
        image_areas = self.image_hw.prod(axis=1)[self.image_of]
        return {
            SIZE: groups.by_size(self.areas),
            RELATIVE_SIZE: groups.by_relative_size(self.areas, image_areas),
        }

    def ranks_at(self, iou_threshold: float) -> NDArray[np.int64]:
        """The row ``(M,)`` of ``ranks`` for one of the ten thresholds."""
        step = np.flatnonzero(np.isclose(IOU_THRESHOLDS, iou_threshold))
        if not len(step):
            raise ValueError(f"Ranks are known at IoU .50, .55 … .95, not at {iou_threshold}.")
        row: NDArray[np.int64] = self.ranks[step[0]]
        return row

    def scores_at(self, ranks: NDArray[np.int64]) -> NDArray[np.float64]:
        """Scores ``(M,)`` of the proposals that found the objects; NaN for an object that was not found."""
        found = ranks != UNMATCHED
        starts = np.concatenate([[0], np.cumsum(self.counts)])[self.image_of]
        result = np.full(len(ranks), np.nan)
        result[found] = self.scores[(starts[found] + ranks[found])]
        return result


def measure(
    proposals: Mapping[int, Proposals],
    records: Sequence[Record],
    ks: Sequence[int] = DEFAULT_KS,
    on_image: Callable[[], None] = lambda: None,
) -> Measurement:
    """Match the proposals of every image with its objects.

    Every image counts: the objects of an image without proposals are missed ones. The top k is taken in each
    image, never over the data set. Proposals are taken by score (equal scores in their order, NaN last). Ignore
    regions (crowds) need no care for recall: a proposal takes one only when no object is left for it.

    Args:
        proposals: image id -> proposals in pixels of the original upright photograph.
        records: the ground truth; annotated areas decide the size.
        ks: how many proposals an image may use, in any order.
        on_image: Called after each image (for progress).

    Raises:
        InputError: proposals for an image that the records do not have, two records with one image id, or a k
            below 1.
    """
    tops = np.array(sorted({int(k) for k in ks}), dtype=np.int64)
    if not len(tops) or tops[0] < 1:
        raise InputError(f"Recall needs at least one k of 1 or more, not {list(ks)}.")
    check_ids(proposals, records)
    parts = [_without_images(tops)]
    for position, record in enumerate(records):
        parts.append(_image(position, record, proposals.get(record.image_id), tops))
        on_image()
    return _joined(parts)


def _joined(parts: Sequence[Measurement]) -> Measurement:
    """One measurement of the images of all parts, in their order."""

    def joined(name: str) -> Any:
        values = [getattr(part, name) for part in parts]
        if name == "ks":
            return values[0]
        if name == "ranks_by_size":
            return {
                question: {label: np.concatenate([one[question][label] for one in values], axis=1) for label in labels}
                for question, labels in values[0].items()
            }
        return np.concatenate(values, axis=1 if name in _ROW_BY_ROW else 0)

    return Measurement(**{field.name: joined(field.name) for field in fields(Measurement)})


def _without_images(tops: NDArray[np.int64]) -> Measurement:
    none = np.zeros(0, np.float32)
    record = Record(0, Path(), None, np.zeros((0, 4), np.float32), none.astype(np.int64), none > 0, none)
    of_one = _image(0, record, None, tops)
    return replace(of_one, image_ids=of_one.image_ids[:0], image_hw=of_one.image_hw[:0], counts=of_one.counts[:0])


def _image(position: int, record: Record, found: Proposals | None, tops: NDArray[np.int64]) -> Measurement:
    """The measurement of one image, which is the ``position``-th of all."""
    # The objects' order matters only where a proposal overlaps two of them equally; this is pycocotools' order.
    order = np.argsort(record.class_ids, kind="stable")
    number = order[~record.ignore[order]]
    boxes_xyxy, areas = record.boxes_xyxy[number].astype(np.float64), record.areas[number].astype(np.float64)
    scores, ious, is_hit, ignored = _overlaps(found, boxes_xyxy, record, int(tops[-1]))
    ranks = matched_ranks(ious, IOU_THRESHOLDS)
    image_area = float(record.size_hw[0] * record.size_hw[1]) if record.size_hw else np.nan
    sizes = {
        SIZE: groups.by_size(areas),
        RELATIVE_SIZE: groups.by_relative_size(areas, np.full(len(areas), image_area)),
    }
    best_iou, closest_rank = best_overlap.closest(ious, tops)
    return Measurement(
        ks=tuple(tops.tolist()),
        image_ids=np.array([record.image_id], dtype=np.int64),
        image_hw=np.array([record.size_hw or (np.nan, np.nan)], dtype=np.float64),
        counts=np.array([len(scores)], dtype=np.int64),
        image_of=np.full(len(number), position, dtype=np.int64),
        number=number.astype(np.int64),
        boxes_xyxy=boxes_xyxy,
        class_ids=record.class_ids[number],
        areas=areas,
        ranks=ranks,
        ranks_by_size={
            name: {label: _ranks_among(ious, ranks, mask) for label, mask in masks.items()}
            for name, masks in sizes.items()
        },
        best_iou=best_iou,
        closest_rank=closest_rank,
        one_to_one_iou=best_overlap.exclusive(ious, tops),
        scores=scores,
        is_hit=is_hit,
        ignored=ignored,
    )


def _ranks_among(ious: NDArray[np.float64], ranks: NDArray[np.int64], members: groups.Mask) -> NDArray[np.int64]:
    """Ranks ``(T, M)`` where only the members may be matched; the others are ``UNMATCHED``."""
    if members.all():
        return ranks
    among = np.full(ranks.shape, UNMATCHED, dtype=np.int64)
    if members.any():
        among[:, members] = matched_ranks(ious[:, members], IOU_THRESHOLDS)
    return among


def _overlaps(
    found: Proposals | None, boxes_xyxy: NDArray[np.float64], record: Record, count: int
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Best ``count`` proposals: scores ``(N,)``, IoU ``(N, M)``, about an object ``(N,)``, ignored ``(N,)``."""
    if found is None or not len(found):
        return np.zeros(0, np.float32), np.zeros((0, len(boxes_xyxy))), np.zeros(0, np.bool_), np.zeros(0, np.bool_)
    best = np.argsort(-found.scores, kind="stable")[:count]
    proposed = found.boxes_xyxy[best].astype(np.float64)
    with np.errstate(invalid="ignore"):  # a box with a NaN overlaps nothing
        ious: NDArray[np.float64] = np.nan_to_num(iou(proposed, boxes_xyxy), nan=0.0, posinf=0.0).astype(np.float64)
    return found.scores[best], ious, *hits_and_ignored(ious, proposed, record.boxes_xyxy[record.ignore])


def check_ids(proposals: Mapping[int, Any], records: Sequence[Record]) -> None:
    """Refuse proposals or detections for images that the records do not have, and two records with one id.

    Raises:
        InputError: with the ids.
    """
    counts = Counter(record.image_id for record in records)
    unknown = [image_id for image_id in proposals if image_id not in counts]
    if unknown:
        more = f" (and for {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        raise InputError(
            f"There are proposals for image {unknown[0]}{more}, which the data set does not have: "
            "measure them on the data set and the split that they were made for (all, if for several)."
        )
    image_id, times = counts.most_common(1)[0] if counts else (0, 0)
    if times > 1:
        raise InputError(f"The data set has {times} images with the id {image_id}: give each image an id of its own.")
