"""Anchors in blocks of neighbours: bounds on what a box overlaps them by, so that most pairs need no look.

N anchors in K blocks of M, G ground-truth boxes.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

_BOUNDS_AT_A_TIME = 2**16  # pairs of box and block: they stay in the cache
_SLACK = 1 + 1e-5  # bounds and overlaps are rounded in different orders, by a few units of 1e-7


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
        """What every anchor of a block overlaps some box by, or more: 0 where no box covers the block."""
        least = torch.zeros_like(self._smallest)
        usable = self._smallest > 0
        for some in self._split(boxes_xyxy):
            x1, y1, x2, y2, areas = some
            covered = (self._left >= x1) & (self._right <= x2) & (self._top >= y1) & (self._bottom <= y2) & usable
            least = torch.maximum(least, torch.where(covered, self._smallest / areas, 0).amax(0))
        return least

    def most(self, boxes_xyxy: Float[Tensor, "G 4"]) -> Iterator[Float[Tensor, " K"]]:
        """For each box in turn, what an anchor of each block overlaps it by at most: 0 where they do not touch."""
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
