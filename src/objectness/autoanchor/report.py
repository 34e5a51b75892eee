"""The whole examination: a data set's boxes as the network sees them, against the anchors of its settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from objectness.autoanchor.reach import Floats, Reach, best_anchors, level_shapes
from objectness.autoanchor.suggest import climb, cluster_shapes, fit_sizes_and_ratios, shape_iou
from objectness.datasets.records import Record
from objectness.errors import InputError
from objectness.images import fit_size_hw
from objectness.rpn.settings import AnchorSettings, ImageSettings, RPNSettings

RECALL_AT = (0.5, 0.7, 0.9)
_FITTED_TO = 4000
_LOST_BOX = 1e6  # weighs more than any mean IoU: a lost box in a million counts more
_LEAST_GAIN = 0.001
_WAYS = (1.0, 0.9, 0.75, 0.5, 0.25)


@dataclass(frozen=True, eq=False)
class SeenBoxes:
    """Boxes in the pixels that the network sees.

    Attributes:
        boxes_xyxy: ``(N, 4)``.
        sizes_hw: ``(N, 2)`` of the resized photograph of each.
        record: ``(N,)`` number of its photograph.
        box: ``(N,)`` number of the box in its photograph, from 1.
    """

    boxes_xyxy: Floats
    sizes_hw: Floats
    record: NDArray[np.int64]
    box: NDArray[np.int64]

    @property
    def boxes_wh(self) -> Floats:
        """``(N, 2)``."""
        return self.boxes_xyxy[:, 2:] - self.boxes_xyxy[:, :2]


@dataclass(frozen=True, eq=False)
class Examination:
    """Reach of an anchor set on a data set.

    Attributes:
        anchors: The set.
        reach: The best anchor for each box.
        recall: Share of the boxes whose best anchor has at least this IoU, for each of ``RECALL_AT``: the best
            possible recall of the anchors as they stand.
        mean_iou: Of the best anchors.
        positive: Share of the boxes with an anchor above ``match.positive_iou``: the others are taught only by
            their best one.
        out_of_reach: ``(M,)`` numbers of the boxes whose best anchor is below ``match.negative_iou``, worst first:
            no anchor shows more of them than of background.
    """

    anchors: AnchorSettings
    reach: Reach
    recall: dict[float, float]
    mean_iou: float
    positive: float
    out_of_reach: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Suggestion:
    """Anchors that fit better, where there are any.

    Attributes:
        anchors: As many sizes and ratios as before, fitted to the boxes on the network's grid; None where none were
            found that fit better and lose nothing that counts.
        free_wh: ``(K, 2)`` shapes of k-means (1 - IoU) with as many shapes, which are bound neither to sizes and
            ratios nor to the grid.
        free_mean_iou: Their mean IoU with the boxes on one centre: what as many shapes could reach if there were
            one in every pixel.
    """

    anchors: AnchorSettings | None
    free_wh: Floats
    free_mean_iou: float


def boxes_as_seen(records: Sequence[Record], images: ImageSettings) -> SeenBoxes:
    """All boxes that are not ignored, scaled as the network scales their photographs.

    Raises:
        InputError: no box at all, or a photograph whose size is not known (repair the data set first).
    """
    boxes, sizes, numbers, places = [], [], [], []
    for number, record in enumerate(records):
        if record.size_hw is None:
            raise InputError(f"{record.path}: its size is not known; read the data set with repair.")
        target_hw = fit_size_hw(record.size_hw, images.short_side, images.long_side)
        ratio = np.array([target_hw[1] / record.size_hw[1], target_hw[0] / record.size_hw[0]] * 2)
        counted = np.flatnonzero(~record.ignore)
        boxes.append(record.boxes_xyxy[counted] * ratio)
        sizes.append(np.tile(np.array(target_hw, dtype=np.float64), (len(counted), 1)))
        numbers.append(np.full(len(counted), number))
        places.append(counted + 1)
    if not sum(map(len, boxes)):
        raise InputError("The data set has no boxes to fit anchors to.")
    return SeenBoxes(np.concatenate(boxes), np.concatenate(sizes), np.concatenate(numbers), np.concatenate(places))


def examine(seen: SeenBoxes, settings: RPNSettings, anchors: AnchorSettings | None = None) -> Examination:
    """Hold ``anchors`` (those of the settings by default) against the boxes.

    Raises:
        InputError: sizes that do not divide evenly over the levels.
    """
    anchors = anchors or settings.anchors
    strides = settings.backbone.level_strides
    levels = level_shapes(anchors.sizes_per_level(len(strides)), anchors.ratios_height_over_width, strides)
    reach = best_anchors(seen.boxes_xyxy, seen.sizes_hw, levels, anchors.offset, settings.match.drop_cross_boundary)
    lost = np.flatnonzero(reach.iou < settings.match.negative_iou)
    return Examination(
        anchors,
        reach,
        {at: float((reach.iou >= at).mean()) for at in RECALL_AT},
        float(reach.iou.mean()),
        float((reach.iou > settings.match.positive_iou).mean()),
        lost[np.argsort(reach.iou[lost], kind="stable")],
    )


def suggest(seen: SeenBoxes, settings: RPNSettings) -> Suggestion:
    """As many sizes and ratios as the settings have, fitted to the boxes.

    What counts first is that boxes are found at all: no more of them may lie out of reach, and no fewer be overlapped
    by IoU .5, than with the present anchors. Under that condition the mean IoU on the grid itself is raised, by a
    climb from two starts: the present anchors, and k-means, which alone would suggest small anchors for coarse levels,
    whose cells lie too far apart for them.

    Raises:
        InputError: fewer boxes than shapes.
    """
    present = settings.anchors
    sizes, ratios = len(present.sizes), len(present.ratios_height_over_width)
    if len(seen.boxes_xyxy) < sizes * ratios:
        raise InputError(f"{len(seen.boxes_xyxy)} boxes are too few to fit {sizes} sizes and {ratios} ratios to them.")
    some = _evenly(seen, _FITTED_TO)
    as_they_are = np.array([*present.sizes, *present.ratios_height_over_width], dtype=np.float64)

    def anchors_of(numbers: Floats) -> AnchorSettings:
        return replace(
            present,
            sizes=tuple(round(float(size), 1) for size in sorted(numbers[:sizes])),
            ratios_height_over_width=tuple(round(float(ratio), 2) for ratio in sorted(numbers[sizes:])),
            style="paper",
        )

    before = examine(some, settings)

    def worth(numbers: Floats) -> float:
        after = examine(some, settings, anchors_of(numbers))
        return after.mean_iou - _LOST_BOX * _lost(before, after)

    clustered = np.concatenate(fit_sizes_and_ratios(some.boxes_wh, sizes, ratios))
    fitted = max((climb(start, worth) for start in (clustered, as_they_are)), key=worth)
    free = cluster_shapes(some.boxes_wh, sizes * ratios)
    whole = examine(seen, settings)
    # Fitted to some of the boxes they may lose one of the others: less of the way is then gone.
    ways = (anchors_of(np.exp((1 - way) * np.log(as_they_are) + way * np.log(fitted))) for way in _WAYS)
    better = (anchors for anchors in ways if is_better(whole, examine(seen, settings, anchors)))
    return Suggestion(next(better, None), free, float(shape_iou(some.boxes_wh, free).max(axis=1).mean()))


def is_better(before: Examination, after: Examination) -> bool:
    """Whether anchors fit better, and cost no box that counts."""
    return _lost(before, after) == 0 and after.mean_iou > before.mean_iou + _LEAST_GAIN


def _lost(before: Examination, after: Examination) -> float:
    """Increase of the shares of boxes below IoU .5 and out of reach."""
    unreached = (len(after.out_of_reach) - len(before.out_of_reach)) / max(1, len(after.reach.iou))
    return max(0.0, before.recall[0.5] - after.recall[0.5]) + max(0.0, unreached)


def _evenly(seen: SeenBoxes, count: int) -> SeenBoxes:
    """At most ``count`` of the boxes, evenly spaced: the fit costs as much for a million as for these."""
    if len(seen.boxes_xyxy) <= count:
        return seen
    chosen = np.linspace(0, len(seen.boxes_xyxy) - 1, count).round().astype(np.int64)
    return SeenBoxes(seen.boxes_xyxy[chosen], seen.sizes_hw[chosen], seen.record[chosen], seen.box[chosen])
