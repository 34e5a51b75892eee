"""Which anchor belongs to which box (paper, section 3.1.2); memory does not grow with anchors x boxes.

N anchors, G ground-truth boxes, R ignore regions, C anchors in a chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchvision.ops import box_iou

from objectness.rpn.matching_index import Blocks
from objectness.rpn.settings import MatchSettings

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1
_CHUNK_PAIRS = 2**20  # anchor-box pairs at a time: 4 MiB of IoU, about 40 MiB on the way to it
_BLOCK = 64  # anchors; fewer cost more steps, of more more are touched


@dataclass(frozen=True, eq=False)
class Matches:
    """What each of N anchors stands for.

    Attributes:
        labels: ``int8 (N,)``: 1 positive, 0 negative, -1 neither.
        box_index: ``int64 (N,)``: the box that the anchor overlaps most (0 where there is none); the
            regression target of a positive.
        iou: ``float32 (N,)``: that overlap.
    """

    labels: Int[Tensor, " N"]
    box_index: Int[Tensor, " N"]
    iou: Float[Tensor, " N"]


def match(
    anchors_xyxy: Float[Tensor, "N 4"],
    boxes_xyxy: Float[Tensor, "G 4"],
    ignore_xyxy: Float[Tensor, "R 4"] | None = None,
    settings: MatchSettings | None = None,
    kept: Bool[Tensor, " N"] | None = None,
) -> Matches:
    """Match anchors to boxes by the paper's rules.

    Positive: IoU above ``positive_iou`` with any box, or the highest IoU of all anchors with some box (all that tie
    for it within ``tie_tolerance``, and only if they overlap at all). Negative: not positive and IoU below
    ``negative_iou`` with all boxes. An anchor that lies in an ignore region is never negative. An image without
    boxes has negatives only.

    Args:
        anchors_xyxy: All anchors of the image.
        boxes_xyxy: Its boxes.
        ignore_xyxy: Crowd and ignore regions.
        settings: Thresholds.
        kept: Anchors that take part; the others are left out **before** matching, as in the released code, so
            that the best anchor of a box is the best one inside the image.
    """
    settings = settings or MatchSettings()
    # Half precision is widened: it could not tell apart what lies around a threshold.
    wide = torch.promote_types(torch.promote_types(anchors_xyxy.dtype, boxes_xyxy.dtype), torch.float32)
    places = None if kept is None else torch.nonzero(kept).flatten()
    taking_part = (anchors_xyxy if places is None else anchors_xyxy[places]).to(wide)
    boxes_xyxy = boxes_xyxy.to(wide)
    if anchors_xyxy.device.type == "cpu":
        matches = _label(*_overlaps_in_blocks(taking_part, boxes_xyxy, settings), settings)
    else:  # where a thousand small steps would cost more than they save
        matches = match_overlaps(
            lambda rows: box_iou(taking_part[rows], boxes_xyxy),
            count=len(taking_part),
            boxes=len(boxes_xyxy),
            settings=settings,
            device=anchors_xyxy.device,
        )
    if ignore_xyxy is not None and len(ignore_xyxy):
        labels = matches.labels.clone()
        background = torch.nonzero(labels == NEGATIVE).flatten()
        for rows in background.split(_rows_a_chunk(len(ignore_xyxy))):
            covered = inside_fraction(taking_part[rows], ignore_xyxy)
            labels[rows[covered > settings.ignore_iof]] = IGNORED
        matches = Matches(labels, matches.box_index, matches.iou)
    if places is None:
        return matches
    count, device = len(anchors_xyxy), anchors_xyxy.device
    labels = torch.full((count,), IGNORED, dtype=torch.int8, device=device)
    box_index = torch.zeros(count, dtype=torch.int64, device=device)
    iou = torch.zeros(count, device=device)
    labels[places], box_index[places], iou[places] = matches.labels, matches.box_index, matches.iou
    return Matches(labels, box_index, iou)


def match_overlaps(
    overlaps: Callable[[Tensor], Float[Tensor, "C G"]],
    *,
    count: int,
    boxes: int,
    settings: MatchSettings | None = None,
    device: torch.device | str = "cpu",
) -> Matches:
    """Match by any overlap, asked for a chunk of anchors at a time.

    Args:
        overlaps: Rows of anchors ``int64 (C,)`` to their overlap with each box. It is asked once for every
            row, and again for those that may be the best anchor of some box.
        count: Number of anchors.
        boxes: Number of boxes.
        settings: Thresholds.
        device: Where ``overlaps`` expects the rows.
    """
    settings = settings or MatchSettings()
    iou = torch.zeros(count, device=device)
    box_index = torch.zeros(count, dtype=torch.int64, device=device)
    best_of_box = torch.zeros(boxes, device=device)
    chunk = _rows_a_chunk(boxes)
    if boxes and count:
        for rows in torch.arange(count, device=device).split(chunk):
            found = overlaps(rows).float()
            iou[rows], box_index[rows] = found.max(dim=1)
            best_of_box = torch.maximum(best_of_box, found.amax(dim=0))
    leads = torch.zeros(count, dtype=torch.bool, device=device)
    # IoU 0 is nobody's best: without this, a box that no anchor reaches makes every anchor positive, the
    # defect that four well-known implementations share.
    reached = best_of_box > 0
    if bool(reached.any()):
        tied_from = _tied_from(best_of_box, settings)
        # Who leads for some box overlaps at least as much as the box that is matched worst.
        leaders = torch.nonzero(iou >= tied_from[reached].min()).flatten()
        for rows in leaders.split(chunk):
            leads[rows] = ((overlaps(rows).float() >= tied_from) & reached).any(dim=1)
    return _label(iou, box_index, leads, settings)


def _overlaps_in_blocks(
    anchors_xyxy: Float[Tensor, "N 4"], boxes_xyxy: Float[Tensor, "G 4"], settings: MatchSettings
) -> tuple[Float[Tensor, " N"], Int[Tensor, " N"], Bool[Tensor, " N"]]:
    """IoU and index of the box that each anchor overlaps most, and which anchors overlap some box best of all.

    For each box only those blocks of anchors are looked at where it may be the best box of some anchor, or find its
    own best anchor. The many small anchors inside a large box are neither where a smaller box covers them too.
    """
    count = len(anchors_xyxy)
    rows = -(-count // _BLOCK)
    iou = torch.zeros(rows, _BLOCK)
    box_index = torch.zeros(rows, _BLOCK, dtype=torch.int32)
    leads = torch.zeros(rows, _BLOCK, dtype=torch.bool)
    if count and len(boxes_xyxy):
        blocks = Blocks(anchors_xyxy, _BLOCK)
        least = blocks.least(boxes_xyxy)
        tiny = torch.finfo(least.dtype).tiny
        areas = (boxes_xyxy[:, 2] - boxes_xyxy[:, 0]) * (boxes_xyxy[:, 3] - boxes_xyxy[:, 1])
        for index, (box, most) in enumerate(zip(boxes_xyxy.tolist(), blocks.most(boxes_xyxy), strict=True)):
            highest = float(most.amax())
            if highest <= 0:
                continue
            # Where it may overlap an anchor most, it is looked at; and where its own best may be, for a first idea.
            seen = most >= least.clamp(min=tiny, max=highest)
            near = torch.nonzero(seen).flatten()
            found = blocks.overlaps(near, box, areas[index])
            before = iou.index_select(0, near)
            better = found > before
            iou.index_copy_(0, near, torch.maximum(found, before))
            box_index.index_copy_(0, near, box_index.index_select(0, near).masked_fill_(better, index))
            by_block = found.amax(1)
            best = by_block.amax()
            rest = torch.nonzero((most >= _tied_from(best, settings).clamp(min=tiny)) & ~seen).flatten()
            if len(rest):
                others = blocks.overlaps(rest, box, areas[index])
                best = torch.maximum(best, others.amax())
                _mark(leads, rest, others, others.amax(1), _tied_from(best, settings))
            _mark(leads, near, found, by_block, _tied_from(best, settings))
    return iou.flatten()[:count], box_index.flatten()[:count].long(), leads.flatten()[:count]


def _mark(
    leads: Bool[Tensor, "K M"],
    blocks: Int[Tensor, " C"],
    found: Float[Tensor, "C M"],
    by_block: Float[Tensor, " C"],
    tied_from: Float[Tensor, ""],
) -> None:
    if tied_from > 0:  # IoU 0 is nobody's best; see match_overlaps
        rows = torch.nonzero(by_block >= tied_from).flatten()
        leads[blocks[rows]] |= found[rows] >= tied_from


def _tied_from(best: Float[Tensor, "*G"], settings: MatchSettings) -> Float[Tensor, "*G"]:
    """The least overlap that counts as the best one: what is rounded differently ties all the same."""
    return best * (1 - settings.tie_tolerance)


def _label(
    iou: Float[Tensor, " N"], box_index: Int[Tensor, " N"], leads: Bool[Tensor, " N"], settings: MatchSettings
) -> Matches:
    labels = torch.full_like(box_index, IGNORED, dtype=torch.int8)
    labels[iou < settings.negative_iou] = NEGATIVE
    labels[(iou > settings.positive_iou) | leads] = POSITIVE
    return Matches(labels, box_index, iou)


def _rows_a_chunk(columns: int) -> int:
    return max(1, _CHUNK_PAIRS // max(1, columns))


def inside_fraction(boxes_xyxy: Float[Tensor, "C 4"], regions_xyxy: Float[Tensor, "R 4"]) -> Float[Tensor, " C"]:
    """The largest share of each box's own area that lies in one of the regions."""
    top_left = torch.maximum(boxes_xyxy[:, None, :2], regions_xyxy[None, :, :2])
    bottom_right = torch.minimum(boxes_xyxy[:, None, 2:], regions_xyxy[None, :, 2:])
    common = (bottom_right - top_left).clamp(min=0).prod(dim=2)
    own = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).clamp(min=0).prod(dim=1)
    return (common / own.clamp(min=torch.finfo(own.dtype).tiny)[:, None]).amax(dim=1)
