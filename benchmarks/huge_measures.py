"""Figures about the proposals of a mosaic: recall, objects that cross borders of tiles, doubles.

N proposals, M objects (no ignore regions), in the order of the mosaic's photographs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from mosaic import Mosaic
from numpy.typing import NDArray

from objectness.boxes import area, iof, iou
from objectness.evaluation import per_object
from objectness.evaluation.measurement import Measurement, measure
from objectness.proposals import Proposals

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

_EVERY = 2**40
"""More proposals than there can be: a k that cuts nothing."""

_SAME, _INSIDE, _ABOUT = 0.8, 0.9, 0.25


@dataclass(frozen=True, eq=False)
class Spread:
    """Proposals of a mosaic, handed out to the photograph in which their centre lies.

    Attributes:
        found: Image id -> proposals in pixels of the photograph, not cut at its border.
        ranks: Image id -> the rank from 0 of each of them among all of the mosaic.
    """

    found: dict[int, Proposals]
    ranks: dict[int, NDArray[np.int64]]

    def best(self, count: int) -> dict[int, Proposals]:
        """Those among the best ``count`` of the whole mosaic."""
        return {image_id: one.top(int((self.ranks[image_id] < count).sum())) for image_id, one in self.found.items()}


def spread(boxes_xyxy: Floats, mosaic: Mosaic) -> Spread:
    """Hand out proposals ``(N, 4)`` of a mosaic, best first; those on pieces of photographs go to none.

    A proposal that finds an object (IoU .5 or more) has it in the same photograph but where it is as large as the
    photograph itself, so that the figures are those of the mosaic as one image.
    """
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    order = np.argsort(centres[:, 1], kind="stable")
    found, ranks = {}, {}
    for place in mosaic.photographs:
        y, x, height, width = place.part
        first, last = np.searchsorted(centres[order, 1], [y, y + height])
        rows = order[first:last]
        inside = np.sort(rows[(centres[rows, 0] >= x) & (centres[rows, 0] < x + width)])
        falling = (-inside).astype(np.float32)  # only their order is looked at
        boxes = boxes_xyxy[inside] - np.array([x, y, x, y], dtype=np.float32)
        image_id = place.record.image_id
        found[image_id] = Proposals(boxes.astype(np.float32), falling, (height, width))
        ranks[image_id] = inside
    return Spread(found, ranks)


def as_one_image(proposals: Spread, mosaic: Mosaic, count: int) -> Measurement:
    """The best ``count`` proposals of the whole mosaic matched with all of its objects."""
    return measure(proposals.best(count), [place.record for place in mosaic.photographs], (_EVERY,))


def per_photograph(proposals: Spread, mosaic: Mosaic, ks: Sequence[int]) -> Measurement:
    """The best k proposals of each photograph matched with its objects."""
    best = {image_id: one.top(max(ks)) for image_id, one in proposals.found.items()}
    return measure(best, [place.record for place in mosaic.photographs], ks)


def shares(measured: Measurement) -> Floats:
    """Share ``(M,)`` of the IoU thresholds .50:.05:.95 at which each object is found by all that was measured."""
    return per_object.ar(measured.ranks, (_EVERY,))[:, 0]


def objects_xyxy(measured: Measurement, mosaic: Mosaic) -> Floats:
    """Boxes ``(M, 4)`` of the objects in pixels of the mosaic, in the order of a measurement of its photographs."""
    parts = [place.part for place in mosaic.photographs]
    corners = np.array([[part.x, part.y, part.x, part.y] for part in parts], dtype=np.float64).reshape(-1, 4)
    return measured.boxes_xyxy + corners[measured.image_of]


def names(measured: Measurement) -> list[tuple[int, int]]:
    """What tells an object in every layout: the image id and its number there."""
    return list(zip(measured.image_ids[measured.image_of].tolist(), measured.number.tolist(), strict=True))


def crosses(boxes_xyxy: Floats, borders_y: Sequence[float], borders_x: Sequence[float]) -> Mask:
    """Whether each box ``(N,)`` has a border inside; borders run through the whole image."""

    def between(low: Floats, high: Floats, borders: Sequence[float]) -> Mask:
        ordered = np.sort(np.asarray(borders, dtype=np.float64))
        inside: Mask = np.searchsorted(ordered, low, side="right") < np.searchsorted(ordered, high, side="left")
        return inside

    return between(boxes_xyxy[:, 1], boxes_xyxy[:, 3], borders_y) | between(
        boxes_xyxy[:, 0], boxes_xyxy[:, 2], borders_x
    )


def doubles(boxes_xyxy: Floats, objects: Floats, boxes_at_once: int = 4096) -> NDArray[np.int64]:
    """Number ``(M,)`` of pairs of proposals about each object that say the same thing twice.

    A proposal is about the object that it overlaps most, by IoU .25 or more, so that a part of one that was cut
    counts. A pair says the same twice if its IoU is above .8, or if one lies inside the other by more than .9 of its
    area. Parts of things are proposals too: what counts is the difference between objects at seams and others.
    """
    about = np.full(len(boxes_xyxy), -1)
    for start in range(0, len(boxes_xyxy), boxes_at_once):
        part = boxes_xyxy[start : start + boxes_at_once]
        if len(objects):
            overlaps = iou(part, objects)
            best = overlaps.argmax(axis=1)
            enough = overlaps[np.arange(len(part)), best] >= _ABOUT
            about[start : start + len(part)] = np.where(enough, best, -1)
    counts = np.zeros(len(objects), dtype=np.int64)
    order = np.argsort(about, kind="stable")
    edges = np.searchsorted(about[order], np.arange(len(objects) + 1))
    for number, (first, last) in enumerate(pairwise(edges.tolist())):
        own = boxes_xyxy[order[first:last]]
        inside = iof(own, own)
        twice = (iou(own, own) > _SAME) | (inside > _INSIDE) | (inside.T > _INSIDE)
        counts[number] = np.triu(twice, 1).sum()
    return counts


@dataclass(frozen=True)
class Matched:
    """A figure of some objects beside the others, as if these were of the same sizes.

    Attributes:
        chosen: Mean over the chosen.
        others: Mean over the others, each size as often as among the chosen.
        count: Number of the chosen for whose size there are others.
    """

    chosen: float
    others: float
    count: int


def matched_by_size(values: Floats, chosen: Mask, boxes_xyxy: Floats) -> Matched:
    """Means of values ``(M,)`` over chosen objects and over others of their sizes, by half octaves of the side."""
    sides = np.sqrt(np.maximum(area(boxes_xyxy), 1.0))
    group = np.floor(2 * np.log2(sides)).astype(int)
    sums = np.zeros(2)
    count = 0
    for size in np.unique(group):
        ours, theirs = chosen & (group == size), ~chosen & (group == size)
        if ours.any() and theirs.any():
            sums += [values[ours].sum(), ours.sum() * values[theirs].mean()]
            count += int(ours.sum())
    if not count:
        return Matched(float("nan"), float("nan"), 0)
    return Matched(float(sums[0] / count), float(sums[1] / count), count)
