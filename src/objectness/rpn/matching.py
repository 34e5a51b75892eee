"""Positive and negative anchors (paper, section 3.1.2).

``plain_match`` is the rule to read; ``match`` is the same rule, quick and in memory that does not grow with
anchors x boxes. N anchors, G ground-truth boxes, R ignore regions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchvision.ops import box_iou

from objectness.rpn.matching_index import PAIRS_AT_A_TIME, BestOverlaps, overlaps_in_blocks, overlaps_in_chunks
from objectness.rpn.settings import MatchSettings

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1


@dataclass(frozen=True, eq=False)
class Matches:
    """Label and box of each of N anchors.

    Attributes:
        labels: ``int8 (N,)``: 1 positive, 0 negative, -1 neither.
        box_index: ``int64 (N,)``: the box that the anchor overlaps most (0 where there is none); the
            regression target of a positive.
        iou: ``float32 (N,)``: that overlap.
    """

    labels: Int[Tensor, " N"]
    box_index: Int[Tensor, " N"]
    iou: Float[Tensor, " N"]


# Anchors, boxes, ignore regions, settings and valid anchors in, as ``match`` takes them.
Matcher: TypeAlias = Callable[[Tensor, Tensor, Tensor, MatchSettings, Tensor], Matches]


def plain_match(
    anchors_xyxy: Float[Tensor, "N 4"], boxes_xyxy: Float[Tensor, "G 4"], settings: MatchSettings | None = None
) -> Matches:
    """The paper's rule as it is written: the oracle of the tests of ``match``, far too slow to train with.

    Positive: (i) the anchor with the highest IoU with a box, or (ii) IoU above ``positive_iou`` with any box.
    Negative: IoU below ``negative_iou`` with all boxes. The others do not contribute to the loss.
    """
    settings = settings or MatchSettings()
    iou = box_iou(anchors_xyxy, boxes_xyxy)
    labels = torch.full((len(anchors_xyxy),), IGNORED, dtype=torch.int8)
    highest, box_index = iou.max(dim=1) if len(boxes_xyxy) else (torch.zeros(len(iou)), torch.zeros(len(iou)).long())
    for anchor in range(len(anchors_xyxy)):
        if highest[anchor] < settings.negative_iou:
            labels[anchor] = NEGATIVE
        if highest[anchor] > settings.positive_iou:
            labels[anchor] = POSITIVE
        for box in range(len(boxes_xyxy)):
            # Rounding must not part anchors that tie, and an overlap of 0 is no box's highest.
            if iou[anchor, box] > 0 and iou[anchor, box] >= iou[:, box].max() * (1 - settings.tie_tolerance):
                labels[anchor] = POSITIVE
    return Matches(labels, box_index, highest)


def match(
    anchors_xyxy: Float[Tensor, "N 4"],
    boxes_xyxy: Float[Tensor, "G 4"],
    ignore_xyxy: Float[Tensor, "R 4"] | None = None,
    settings: MatchSettings | None = None,
    valid: Bool[Tensor, " N"] | None = None,
) -> Matches:
    """Match anchors to boxes by the paper's rule.

    Positive: IoU above ``positive_iou`` with any box, or the highest IoU of all anchors with some box (all that tie
    for it within ``tie_tolerance``, and only if they overlap at all). Negative: not positive and IoU below
    ``negative_iou`` with all boxes. An anchor that lies in an ignore region is never negative. An image without
    boxes has negatives only.

    Args:
        anchors_xyxy: All anchors of the image.
        boxes_xyxy: Its boxes.
        ignore_xyxy: Crowd and ignore regions.
        settings: Thresholds.
        valid: Anchors that take part; the others are left out **before** matching, as in the released code, so
            that the best anchor of a box is the best one inside the image.
    """
    settings = settings or MatchSettings()
    # Half precision is widened: it could not tell apart what lies around a threshold.
    wide = torch.promote_types(torch.promote_types(anchors_xyxy.dtype, boxes_xyxy.dtype), torch.float32)
    rows = None if valid is None else torch.nonzero(valid).flatten()
    anchors = (anchors_xyxy if rows is None else anchors_xyxy[rows]).to(wide)
    matches = label(_best_overlaps(anchors, boxes_xyxy.to(wide), settings.tie_tolerance), settings)
    if ignore_xyxy is not None:
        matches = without_ignored(matches, anchors, ignore_xyxy, settings.ignore_iof)
    if rows is None:
        return matches
    count, device = len(anchors_xyxy), anchors_xyxy.device
    labels = torch.full((count,), IGNORED, dtype=torch.int8, device=device)
    box_index = torch.zeros(count, dtype=torch.int64, device=device)
    iou = torch.zeros(count, device=device)
    labels[rows], box_index[rows], iou[rows] = matches.labels, matches.box_index, matches.iou
    return Matches(labels, box_index, iou)


def _best_overlaps(
    anchors_xyxy: Float[Tensor, "N 4"], boxes_xyxy: Float[Tensor, "G 4"], tie_tolerance: float
) -> BestOverlaps:
    if anchors_xyxy.device.type == "cpu":
        return overlaps_in_blocks(anchors_xyxy, boxes_xyxy, tie_tolerance)
    # On a GPU a thousand small steps would cost more than they save.
    return overlaps_in_chunks(
        lambda rows: box_iou(anchors_xyxy[rows], boxes_xyxy),
        count=len(anchors_xyxy),
        boxes=len(boxes_xyxy),
        tie_tolerance=tie_tolerance,
        device=anchors_xyxy.device,
    )


def label(best: BestOverlaps, settings: MatchSettings) -> Matches:
    """Labels by the best overlaps: negatives first, so that positives win."""
    labels = torch.full_like(best.box_index, IGNORED, dtype=torch.int8)
    labels[best.iou < settings.negative_iou] = NEGATIVE
    labels[(best.iou > settings.positive_iou) | best.leads] = POSITIVE
    return Matches(labels, best.box_index, best.iou)


def without_ignored(
    matches: Matches, anchors_xyxy: Float[Tensor, "N 4"], ignore_xyxy: Float[Tensor, "R 4"], ignore_iof: float
) -> Matches:
    """Negatives with more than ``ignore_iof`` of themselves in an ignore region become neither."""
    if not len(ignore_xyxy):
        return matches
    labels = matches.labels.clone()
    negatives = torch.nonzero(labels == NEGATIVE).flatten()
    for rows in negatives.split(max(1, PAIRS_AT_A_TIME // len(ignore_xyxy))):
        labels[rows[inside_fraction(anchors_xyxy[rows], ignore_xyxy) > ignore_iof]] = IGNORED
    return Matches(labels, matches.box_index, matches.iou)


def inside_fraction(boxes_xyxy: Float[Tensor, "C 4"], regions_xyxy: Float[Tensor, "R 4"]) -> Float[Tensor, " C"]:
    """The largest share of each box's own area that lies in one of the regions."""
    top_left = torch.maximum(boxes_xyxy[:, None, :2], regions_xyxy[None, :, :2])
    bottom_right = torch.minimum(boxes_xyxy[:, None, 2:], regions_xyxy[None, :, 2:])
    common = (bottom_right - top_left).clamp(min=0).prod(dim=2)
    own = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).clamp(min=0).prod(dim=1)
    return (common / own.clamp(min=torch.finfo(own.dtype).tiny)[:, None]).amax(dim=1)
