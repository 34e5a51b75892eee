"""The largest overlaps of anchors and boxes, without a table of all pairs.

On a CPU anchors lie in blocks of neighbours, with bounds on the overlap of a box with any of them, so that most pairs
are never computed; on a GPU the table is computed a chunk of anchors at a time. N anchors in K blocks of M, G
ground-truth boxes, C anchors in a chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

PAIRS_AT_A_TIME = 2**20  # anchor-box pairs of a chunk: 4 MiB of IoU, about 40 MiB on the way to it
_BLOCK = 64  # anchors: with fewer there are more steps, with more each step touches more anchors
_BOUNDS_AT_A_TIME = 2**16  # pairs of box and block: they stay in the cache
_SLACK = 1 + 1e-5  # bounds and overlaps are rounded in different orders, by a few units of 1e-7


@dataclass(frozen=True, eq=False)
class BestOverlaps:
    """Overlaps that decide the label of each of N anchors.

    Attributes:
        iou: ``float32 (N,)`` with the box that the anchor overlaps most; 0 without boxes.
        box_index: ``int64 (N,)`` of that box.
        leads: ``bool (N,)`` whether no other anchor overlaps some box more (but for ``tie_tolerance``).
    """

    iou: Float[Tensor, " N"]
    box_index: Int[Tensor, " N"]
    leads: Bool[Tensor, " N"]


def overlaps_in_chunks(
    overlaps: Callable[[Tensor], Float[Tensor, "C G"]],
    *,
    count: int,
    boxes: int,
    tie_tolerance: float,
    device: torch.device | str = "cpu",
) -> BestOverlaps:
    """Best overlaps of any measure, a chunk of anchors at a time.

    Args:
        overlaps: Rows of anchors ``int64 (C,)`` to their overlap with each box. It is called once for every
            row, and again for those that may be the best anchor of some box.
        count: Number of anchors.
        boxes: Number of boxes.
        tie_tolerance: As in ``MatchSettings``.
        device: Of the rows and the results.
    """
    iou = torch.zeros(count, device=device)
    box_index = torch.zeros(count, dtype=torch.int64, device=device)
    best_of_box = torch.zeros(boxes, device=device)
    chunk = max(1, PAIRS_AT_A_TIME // max(1, boxes))
    if boxes and count:
        for rows in torch.arange(count, device=device).split(chunk):
            found = overlaps(rows).float()
            iou[rows], box_index[rows] = found.max(dim=1)
            best_of_box = torch.maximum(best_of_box, found.amax(dim=0))
    leads = torch.zeros(count, dtype=torch.bool, device=device)
    # An IoU of 0 is no box's best: without this, a box that no anchor reaches makes every anchor positive, the
    # defect that four well-known implementations share.
    reached = best_of_box > 0
    if bool(reached.any()):
        tied_from = best_of_box * (1 - tie_tolerance)
        # An anchor that leads for some box overlaps at least as much as the box with the lowest best overlap.
        leaders = torch.nonzero(iou >= tied_from[reached].min()).flatten()
        for rows in leaders.split(chunk):
            leads[rows] = ((overlaps(rows).float() >= tied_from) & reached).any(dim=1)
    return BestOverlaps(iou, box_index, leads)


def overlaps_in_blocks(
    anchors_xyxy: Float[Tensor, "N 4"], boxes_xyxy: Float[Tensor, "G 4"], tie_tolerance: float
) -> BestOverlaps:
    """Best IoUs; for each box only those blocks of anchors are computed where it can matter.

    That is where it may be the best box of some anchor, or where its own best anchor may lie. The many small anchors
    inside a large box are neither where a smaller box covers them too.
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
            # Blocks where it may overlap an anchor most, and those where its own best may lie, for a first estimate.
            seen = most >= least.clamp(min=tiny, max=highest)
            near = torch.nonzero(seen).flatten()
            found = blocks.overlaps(near, box, areas[index])
            before = iou.index_select(0, near)
            better = found > before
            iou.index_copy_(0, near, torch.maximum(found, before))
            box_index.index_copy_(0, near, box_index.index_select(0, near).masked_fill_(better, index))
            by_block = found.amax(1)
            best = by_block.amax()
            rest = torch.nonzero((most >= (best * (1 - tie_tolerance)).clamp(min=tiny)) & ~seen).flatten()
            if len(rest):
                others = blocks.overlaps(rest, box, areas[index])
                best = torch.maximum(best, others.amax())
                _mark(leads, rest, others, others.amax(1), best * (1 - tie_tolerance))
            _mark(leads, near, found, by_block, best * (1 - tie_tolerance))
    return BestOverlaps(iou.flatten()[:count], box_index.flatten()[:count].long(), leads.flatten()[:count])


def _mark(
    leads: Bool[Tensor, "K M"],
    blocks: Int[Tensor, " C"],
    found: Float[Tensor, "C M"],
    by_block: Float[Tensor, " C"],
    tied_from: Float[Tensor, ""],
) -> None:
    if tied_from > 0:  # an IoU of 0 is no box's best; see overlaps_in_chunks
        rows = torch.nonzero(by_block >= tied_from).flatten()
        leads[blocks[rows]] |= found[rows] >= tied_from


class Blocks:
    """Consecutive anchors in blocks, each with its common rectangle and the range of its areas.

    Args:
        anchors_xyxy: At least one. They may come in any order; bounds are tight where neighbours lie close together.
        size: Anchors in a block. The last block is filled up with its last anchor.
    """

    def __init__(self, anchors_xyxy: Float[Tensor, "N 4"], size: int) -> None:
        self.count = -(-len(anchors_xyxy) // size)
        filled = torch.cat([anchors_xyxy, anchors_xyxy[-1:].expand(self.count * size - len(anchors_xyxy), 4)])
        self._columns = anchors_xyxy.new_empty(self.count, 5, size)  # x1, y1, x2, y2, area: one gather for all five
        self._columns[:, :4] = filled.view(self.count, size, 4).transpose(1, 2)
        x1, y1, x2, y2, areas = self._columns.unbind(1)
        torch.mul(x2 - x1, y2 - y1, out=areas)
        self._left, self._top, self._right, self._bottom = x1.amin(1), y1.amin(1), x2.amax(1), y2.amax(1)
        self._smallest, self._largest = areas.amin(1), areas.amax(1)

    def least(self, boxes_xyxy: Float[Tensor, "G 4"]) -> Float[Tensor, " K"]:
        """For each block a lower bound on the best overlap of its anchors: 0 where no box covers the block."""
        least = torch.zeros_like(self._smallest)
        usable = self._smallest > 0
        for some in self._split(boxes_xyxy):
            x1, y1, x2, y2, areas = some
            covered = (self._left >= x1) & (self._right <= x2) & (self._top >= y1) & (self._bottom <= y2) & usable
            least = torch.maximum(least, torch.where(covered, self._smallest / areas, 0).amax(0))
        return least

    def most(self, boxes_xyxy: Float[Tensor, "G 4"]) -> Iterator[Float[Tensor, " K"]]:
        """For each box in turn an upper bound on its overlap with each block's anchors: 0 where they do not touch."""
        for some in self._split(boxes_xyxy):
            x1, y1, x2, y2, areas = some
            width = (torch.minimum(self._right, x2) - torch.maximum(self._left, x1)).clamp_(min=0)
            height = (torch.minimum(self._bottom, y2) - torch.maximum(self._top, y1)).clamp_(min=0)
            common = torch.minimum(width.mul_(height), self._largest)
            # An anchor with that much in common has at least that area.
            union = areas + (self._smallest - common).clamp_(min=0)
            yield from common.div_(union).mul_(_SLACK).nan_to_num_(nan=0.0)

    def overlaps(
        self, chosen: Int[Tensor, " C"], box_xyxy: list[float], area: Float[Tensor, ""]
    ) -> Float[Tensor, "C M"]:
        """IoU of one box with each anchor of the chosen blocks."""
        from_x, from_y, to_x, to_y = box_xyxy
        x1, y1, x2, y2, areas = self._columns.index_select(0, chosen).unbind(1)
        width = x2.clamp_(max=to_x).sub_(x1.clamp_(min=from_x)).clamp_(min=0)
        height = y2.clamp_(max=to_y).sub_(y1.clamp_(min=from_y)).clamp_(min=0)
        common = width.mul_(height)
        return common.div_(areas.add_(area).sub_(common)).float()

    def _split(self, boxes_xyxy: Float[Tensor, "G 4"]) -> Iterator[tuple[Tensor, ...]]:
        """Columns x1, y1, x2, y2 and area of some boxes at a time, each ``(some, 1)``."""
        for some in boxes_xyxy.split(max(1, _BOUNDS_AT_A_TIME // self.count)):
            x1, y1, x2, y2 = some.unsqueeze(2).unbind(1)
            yield x1, y1, x2, y2, (x2 - x1) * (y2 - y1)
