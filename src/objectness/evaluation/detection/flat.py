"""Detections and objects of all images side by side in arrays, and the pairs that overlap.

D detections, M objects, P pairs of a detection and an object of one image and one class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from objectness.datasets.records import Record
from objectness.detections import Detections
from objectness.evaluation.measurement import check_ids

_PAIRS_AT_ONCE = 2_000_000


@dataclass(frozen=True, eq=False)
class Flat:
    """Detections and objects of all images, each sorted by image and class; detections by score within them.

    Images come in the order of their ids and equal scores in the order of the detections, as pycocotools takes them.

    Attributes:
        image_ids: ``int64 (I,)`` ascending.
        classes: Number of classes.
        image_of: ``int64 (D,)`` position of each detection's image.
        labels: ``int64 (D,)`` position of its class.
        ranks: ``int64 (D,)`` from 0, among the detections of its image and class.
        scores: ``float32 (D,)``.
        boxes_xyxy: ``float64 (D, 4)``.
        object_image: ``int64 (M,)``.
        object_label: ``int64 (M,)``.
        object_number: ``int64 (M,)`` position in the image's record.
        object_boxes_xyxy: ``float64 (M, 4)``.
        object_areas: ``float64 (M,)`` annotated, square pixels.
        ignored: ``bool (M,)`` crowds and other regions that are neither found nor missed.
        difficult: ``bool (M,)`` marked difficult (Pascal VOC).
        as_one: All classes are taken as one: detections are sorted by image and score alone, and pairs are of any
            classes.
    """

    image_ids: NDArray[np.int64]
    classes: int
    image_of: NDArray[np.int64]
    labels: NDArray[np.int64]
    ranks: NDArray[np.int64]
    scores: NDArray[np.float32]
    boxes_xyxy: NDArray[np.float64]
    object_image: NDArray[np.int64]
    object_label: NDArray[np.int64]
    object_number: NDArray[np.int64]
    object_boxes_xyxy: NDArray[np.float64]
    object_areas: NDArray[np.float64]
    ignored: NDArray[np.bool_]
    difficult: NDArray[np.bool_]
    as_one: bool = False


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of a detection and an object that overlap.

    Attributes:
        detection: ``int64 (P,)`` ascending.
        thing: ``int64 (P,)`` the object.
        overlap: ``float64 (P,)`` IoU; with an ignored region the share of the detection that lies in it.
    """

    detection: NDArray[np.int64]
    thing: NDArray[np.int64]
    overlap: NDArray[np.float64]


def flatten(
    detections: Mapping[int, Detections], records: Sequence[Record], class_names: Sequence[str], *, as_one: bool = False
) -> Flat:
    """Detections and objects in arrays; detections of a class that is none of ``class_names`` are left out.

    Args:
        detections: Image id -> detections, in any order.
        records: The ground truth.
        class_names: The classes of the records' ``class_ids``.
        as_one: Take all classes as one.

    Raises:
        InputError: detections for an image that the records do not have, or two records with one image id.
    """
    check_ids(detections, records)
    ordered = sorted(records, key=lambda record: record.image_id)
    count = max([len(class_names), *(int(one.class_ids.max()) + 1 for one in ordered if len(one.class_ids))])
    boxes, scores, labels, images = [np.zeros((0, 4))], [np.zeros(0, np.float32)], [_NONE], [_NONE]
    position_of: dict[tuple[str, ...], NDArray[np.int64]] = {}
    for position, record in enumerate(ordered):
        found = detections.get(record.image_id)
        if found is None or not len(found):
            continue
        if found.class_names not in position_of:
            position_of[found.class_names] = positions_of(found.class_names, class_names)
        own = position_of[found.class_names][found.labels]
        known = own >= 0
        boxes.append(found.boxes_xyxy[known].astype(np.float64))
        scores.append(found.scores[known])
        labels.append(own[known])
        images.append(np.full(int(known.sum()), position))
    all_scores, all_labels, all_images = np.concatenate(scores), np.concatenate(labels), np.concatenate(images)
    object_image = np.repeat(np.arange(len(ordered)), [len(record.class_ids) for record in ordered])
    object_label = np.concatenate([_NONE, *(record.class_ids for record in ordered)])
    order = np.lexsort((-all_scores, np.zeros_like(all_labels) if as_one else all_labels, all_images))
    thing_order = np.lexsort((object_label, object_image))

    def of_objects(name: str) -> NDArray[np.bool_]:
        flags = [getattr(record, name) for record in ordered]
        whole = [np.zeros(len(r.class_ids), bool) if f is None else f for r, f in zip(ordered, flags, strict=True)]
        return np.concatenate([np.zeros(0, bool), *whole])[thing_order]

    image_of, label = all_images[order], all_labels[order]
    return Flat(
        image_ids=np.array([record.image_id for record in ordered], dtype=np.int64),
        classes=count,
        image_of=image_of,
        labels=label,
        ranks=_ranks(image_of if as_one else image_of * count + label),
        scores=all_scores[order],
        boxes_xyxy=np.concatenate(boxes)[order],
        object_image=object_image[thing_order],
        object_label=object_label[thing_order],
        object_number=_ranks(object_image)[thing_order],
        object_boxes_xyxy=np.concatenate([np.zeros((0, 4)), *(r.boxes_xyxy for r in ordered)])[thing_order],
        object_areas=np.concatenate([np.zeros(0), *(r.areas for r in ordered)])[thing_order],
        ignored=of_objects("ignore"),
        difficult=of_objects("difficult"),
        as_one=as_one,
    )


def positions_of(names: tuple[str, ...], class_names: Sequence[str]) -> NDArray[np.int64]:
    """The position of each name in the other list; -1 where it is not there."""
    if names == tuple(class_names):
        return np.arange(len(names))
    places = {name: position for position, name in reversed(list(enumerate(class_names)))}
    return np.array([places.get(name, -1) for name in names], dtype=np.int64)


def overlapping(flat: Flat, least: float) -> Pairs:
    """The pairs of one image and one class (of any, with ``as_one``) that overlap by ``least`` or more."""
    parts = list(_chunks(flat, least))
    return Pairs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _chunks(flat: Flat, least: float) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    yield _NONE, _NONE, np.zeros(0)
    object_key, key = flat.object_image, flat.image_of
    if not flat.as_one:
        object_key, key = object_key * flat.classes + flat.object_label, key * flat.classes + flat.labels
    start = np.searchsorted(object_key, key, "left")
    count = np.searchsorted(object_key, key, "right") - start
    ends = np.cumsum(count)
    low = 0
    while low < len(count):
        reached = ends[low - 1] if low else 0
        high = max(low + 1, int(np.searchsorted(ends, reached + _PAIRS_AT_ONCE, "right")))
        counts = count[low:high]
        detection = np.repeat(np.arange(low, high), counts)
        offset = np.arange(len(detection)) - np.repeat(np.cumsum(counts) - counts, counts)
        thing = np.repeat(start[low:high], counts) + offset
        overlap = _overlap(flat.boxes_xyxy[detection], flat.object_boxes_xyxy[thing], flat.ignored[thing])
        near = overlap >= least
        yield detection[near], thing[near], overlap[near]
        low = high


def _overlap(
    boxes_xyxy: NDArray[np.float64], others_xyxy: NDArray[np.float64], of_the_first: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """IoU of each box with the other in its row ``(P,)``, or where asked the share of the first alone."""
    with np.errstate(invalid="ignore"):  # a box with a NaN overlaps nothing
        sides = np.minimum(boxes_xyxy[:, 2:], others_xyxy[:, 2:]) - np.maximum(boxes_xyxy[:, :2], others_xyxy[:, :2])
        common = np.where((sides > 0).all(axis=1), sides[:, 0] * sides[:, 1], 0)
        own, other = box_areas(boxes_xyxy), box_areas(others_xyxy)
        whole = np.where(of_the_first, own, own + other - common)
        return np.divide(common, whole, out=np.zeros(len(common)), where=(whole > 0) & np.isfinite(common))


def box_areas(boxes_xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Width times height ``(N,)``, as pycocotools has it."""
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    areas: NDArray[np.float64] = sides[:, 0] * sides[:, 1]
    return areas


def _ranks(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position of each element in its run of equal keys ``(N,)``."""
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    lengths = np.diff(first, append=len(keys))
    return np.arange(len(keys)) - np.repeat(first, lengths)


_NONE = np.zeros(0, dtype=np.int64)
