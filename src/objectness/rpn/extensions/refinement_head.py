"""A second stage on the boxes of the first, at a price that a processor can pay (Cascade RPN, Faster R-CNN's own head).

Cascade RPN bends its convolution to the box of every cell; here only the best boxes of a level are looked at again, on
a grid of points inside each, read from a finer map than the one that found them. What is learnt is a correction: of
the score, in logits, and of the box, in deltas. Untrained it changes next to nothing. B images, C channels, R boxes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from objectness.rpn.extensions.settings import RefinementSettings

# As in Fast R-CNN: a second look moves a box by a tenth of its side where a first one moves it by a whole.
_DELTA_SCALE = (0.1, 0.1, 0.2, 0.2)
_INITIAL_STD = 0.001


class Refinement(nn.Module):
    """Corrects boxes by what lies in them.

    Args:
        in_channels: Of the maps.
        strides: Pixels between cells of each level, finest first.
        settings: Every number; ``grid`` is at least 1.
    """

    def __init__(self, in_channels: int, strides: Sequence[int], settings: RefinementSettings) -> None:
        super().__init__()
        self.settings = settings
        self.strides = tuple(strides)
        self.reduce = nn.Conv2d(in_channels, settings.channels, kernel_size=1)
        self.hidden = nn.Sequential(
            nn.Linear(settings.channels * settings.grid**2, settings.hidden),
            nn.ReLU(inplace=True),
            nn.Linear(settings.hidden, settings.hidden),
            nn.ReLU(inplace=True),
        )
        self.answer = nn.Linear(settings.hidden, 5)
        nn.init.normal_(self.answer.weight, std=_INITIAL_STD)
        nn.init.zeros_(self.answer.bias)
        self.delta_scale: Tensor
        self.register_buffer("delta_scale", torch.tensor(_DELTA_SCALE), persistent=False)

    def forward(self, feature_maps: Sequence[Float[Tensor, "B _ _ _"]]) -> list[Float[Tensor, "B _ _ c"]]:
        """The maps that boxes are looked up in, a cell's channels side by side, so that one point is one row."""
        return [self.reduce(feature_map).permute(0, 2, 3, 1).contiguous() for feature_map in feature_maps]

    def correct(
        self,
        maps: Sequence[Float[Tensor, "_ _ c"]],
        level: int,
        boxes_xyxy: Float[Tensor, "R 4"],
        margins: Float[Tensor, " R"],
    ) -> tuple[Float[Tensor, "R 4"], Float[Tensor, " R"]]:
        """Look again at boxes of one level of one image.

        Args:
            maps: As ``forward`` gives them, of this image.
            level: That the boxes come from.
            boxes_xyxy: In the pixels that the network sees.
            margins: Their scores as logits.

        Returns:
            Deltas from these boxes to better ones, and better logits.
        """
        source = max(0, level - self.settings.finer)
        seen = grid_features(
            maps[source].float(), boxes_xyxy, self.strides[source], self.settings.grid, self.settings.margin
        )
        answers = self.answer(self.hidden(seen.flatten(1))).float()
        return answers[:, 1:] * self.delta_scale, margins + answers[:, 0]


def grid_features(
    feature_map: Float[Tensor, "H W c"], boxes_xyxy: Float[Tensor, "R 4"], stride: int, grid: int, margin: float
) -> Float[Tensor, "R G c"]:
    """The map at ``grid x grid`` points of each box, between four cells each (RoIAlign with one sample a bin).

    Args:
        feature_map: Cell (0, 0) is centred ``stride / 2`` pixels from the corner.
        boxes_xyxy: In pixels.
        stride: Pixels between cells.
        grid: Points a side, in the middle of equal parts.
        margin: The grid spans this multiple of the box. Points outside the map read its border.

    Returns:
        G = grid * grid points, row by row.
    """
    height, width, channels = feature_map.shape
    steps = (torch.arange(grid, device=boxes_xyxy.device) + 0.5) / grid - 0.5
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    points = centres[:, :, None] + (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2])[:, :, None] * margin * steps  # (R, 2, grid)
    cells = points / stride - 0.5
    left, right, rightness = _neighbours(cells[:, 0], width)
    above, below, lowness = _neighbours(cells[:, 1], height)
    rows = feature_map.reshape(-1, channels)
    total = None
    for y, weight_y in ((above, 1 - lowness), (below, lowness)):
        for x, weight_x in ((left, 1 - rightness), (right, rightness)):
            place = (y[:, :, None] * width + x[:, None, :]).flatten(1)  # (R, G)
            weight = (weight_y[:, :, None] * weight_x[:, None, :]).flatten(1)
            # An embedding is a gather whose gradient is summed up quickly on a processor too.
            part = F.embedding(place, rows) * weight[:, :, None]
            total = part if total is None else total + part
    assert total is not None
    return total


def _neighbours(cells: Float[Tensor, "R g"], count: int) -> tuple[Tensor, Tensor, Float[Tensor, "R g"]]:
    """The cells before and after each place of an axis of ``count`` cells, and how near it is to the latter."""
    cells = cells.clamp(min=0).clamp(max=count - 1)
    before = cells.floor()
    after = (before + 1).clamp(max=count - 1)
    return before.long(), after.long(), cells - before
