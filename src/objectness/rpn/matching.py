"""Which anchor belongs to which box (paper, section 3.1.2), in memory that does not grow with anchors x boxes.

N anchors, G ground-truth boxes, R ignore regions, C anchors in a chunk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchvision.ops import box_iou

from objectness.rpn.settings import MatchSettings

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1
_CHUNK_PAIRS = 2**20  # anchor-box pairs at a time: 4 MiB of IoU


@dataclass(frozen=True, eq=False)
class Matches:
    """What each of N anchors stands for.

    Attributes:
        labels: ``int8 (N,)``: 1 positive, 0 negative, -1 neither.
        box_index: ``int64 (N,)``: the box that the anchor overlaps most (0 where there is none); the
            regression target of a positive.
        iou: ``float32 (N,)``: that overlap.
    """

    labels: Int[Tensor, "N"]
    box_index: Int[Tensor, "N"]
    iou: Float[Tensor, "N"]


def match(
    anchors_xyxy: Float[Tensor, "N 4"],
    boxes_xyxy: Float[Tensor, "G 4"],
    ignore_xyxy: Float[Tensor, "R 4"] | None = None,
    settings: MatchSettings | None = None,
    kept: Bool[Tensor, "N"] | None = None,
) -> Matches:
    """Match anchors to boxes by the paper's rules.

    Positive: IoU above ``positive_iou`` with any box, or the highest IoU of all anchors with some box (all ties,
    and only if they overlap at all). Negative: not positive and IoU below ``negative_iou`` with all boxes. An
    anchor that lies in an ignore region is never negative. An image without boxes has negatives only.

    Args:
        anchors_xyxy: All anchors of the image.
        boxes_xyxy: Its boxes.
        ignore_xyxy: Crowd and ignore regions.
        settings: Thresholds.
        kept: Anchors that take part; the others are left out **before** matching, as in the released code, so
            that the best anchor of a box is the best one inside the image.
    """
    settings = settings or MatchSettings()
    taking_part = anchors_xyxy if kept is None else anchors_xyxy[kept]
    chunk = max(1, _CHUNK_PAIRS // max(1, len(boxes_xyxy)))
    matches = match_overlaps((box_iou(part, boxes_xyxy) for part in taking_part.split(chunk)), settings)
    if ignore_xyxy is not None and len(ignore_xyxy):
        labels = matches.labels.clone()
        chunk = max(1, _CHUNK_PAIRS // len(ignore_xyxy))
        covered = torch.cat([_inside_fraction(part, ignore_xyxy) for part in taking_part.split(chunk)])
        labels[(labels == NEGATIVE) & (covered > settings.ignore_iof)] = IGNORED
        matches = Matches(labels, matches.box_index, matches.iou)
    if kept is None:
        return matches
    count, device = len(anchors_xyxy), anchors_xyxy.device
    labels = torch.full((count,), IGNORED, dtype=torch.int8, device=device)
    box_index = torch.zeros(count, dtype=torch.int64, device=device)
    iou = torch.zeros(count, device=device)
    labels[kept], box_index[kept], iou[kept] = matches.labels, matches.box_index, matches.iou
    return Matches(labels, box_index, iou)


def match_overlaps(overlaps: Iterable[Float[Tensor, "C G"]], settings: MatchSettings | None = None) -> Matches:
    """Match by IoU that comes in chunks of anchors; only the running best of each box is kept between chunks."""
    settings = settings or MatchSettings()
    iou_parts, index_parts = [], []
    best_of_box: Tensor | None = None
    rivals: list[tuple[Tensor, Tensor, Tensor]] = []  # (anchor, box, IoU) that led when their chunk was seen
    start = 0
    for chunk in overlaps:
        if chunk.shape[1] == 0:
            iou_parts.append(chunk.new_zeros(len(chunk)))
            index_parts.append(torch.zeros(len(chunk), dtype=torch.int64, device=chunk.device))
            continue
        iou, index = chunk.max(dim=1) if len(chunk) else (chunk.sum(1), chunk.sum(1).long())
        iou_parts.append(iou)
        index_parts.append(index)
        if not len(chunk):
            continue
        best_here = chunk.max(dim=0).values
        best_of_box = best_here if best_of_box is None else torch.maximum(best_of_box, best_here)
        # IoU 0 is nobody's best: without this, a box that no anchor reaches makes every anchor positive, the
        # defect that four well-known implementations share.
        anchor, box = torch.nonzero((chunk == best_of_box) & (chunk > 0), as_tuple=True)
        rivals.append((anchor + start, box, chunk[anchor, box]))
        start += len(chunk)
    if not iou_parts:
        empty = torch.zeros(0)
        return Matches(empty.to(torch.int8), empty.long(), empty)
    iou, box_index = torch.cat(iou_parts), torch.cat(index_parts)
    labels = torch.full(iou.shape, IGNORED, dtype=torch.int8, device=iou.device)
    labels[iou < settings.negative_iou] = NEGATIVE
    labels[iou > settings.positive_iou] = POSITIVE
    for anchor, box, value in rivals:
        assert best_of_box is not None
        labels[anchor[value == best_of_box[box]]] = POSITIVE
    return Matches(labels, box_index, iou)


def _inside_fraction(boxes_xyxy: Float[Tensor, "C 4"], regions_xyxy: Float[Tensor, "R 4"]) -> Float[Tensor, "C"]:
    """The largest share of each box's own area that lies in one of the regions."""
    top_left = torch.maximum(boxes_xyxy[:, None, :2], regions_xyxy[None, :, :2])
    bottom_right = torch.minimum(boxes_xyxy[:, None, 2:], regions_xyxy[None, :, 2:])
    common = (bottom_right - top_left).clamp(min=0).prod(dim=2)
    own = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).clamp(min=0).prod(dim=1)
    return (common / own.clamp(min=torch.finfo(own.dtype).tiny)[:, None]).amax(dim=1)
