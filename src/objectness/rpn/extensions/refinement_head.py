"""A refinement head on the best boxes of the RPN, cheap enough for a CPU (a stage of Cascade R-CNN, 1712.00726).

Cascade RPN adapts its convolution to the box of every cell; here only the best boxes of a level are refined, from a
grid of points inside each, read from a finer map than the one that found them. The head predicts a correction: of the
score, in logits, and of the box, in deltas. Untrained it changes next to nothing. B images, C channels, R boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from objectness.rpn.box_coder import clip, decode
from objectness.rpn.extensions.settings import RefinementSettings
from objectness.rpn.selection import highest
from objectness.rpn.settings import SelectSettings

SCORE_EPS = 1e-6  # a score of exactly 0 or 1 can still be corrected

# As in Fast R-CNN: corrections are about a tenth of the first stage's deltas.
_DELTA_SCALE = (0.1, 0.1, 0.2, 0.2)
_INITIAL_STD = 0.001


class RefinementHead(nn.Module):
    """Corrects boxes and scores by the features inside the boxes.

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
        self.predictor = nn.Linear(settings.hidden, 5)
        nn.init.normal_(self.predictor.weight, std=_INITIAL_STD)
        nn.init.zeros_(self.predictor.bias)
        self.delta_scale: Tensor
        self.register_buffer("delta_scale", torch.tensor(_DELTA_SCALE), persistent=False)

    def forward(self, feature_maps: Sequence[Float[Tensor, "B _ _ _"]]) -> list[Float[Tensor, "B _ _ c"]]:
        """The maps that ``correct`` reads, a cell's channels side by side, so that one point is one row."""
        return [self.reduce(feature_map).permute(0, 2, 3, 1).contiguous() for feature_map in feature_maps]

    def correct(
        self,
        maps: Sequence[Float[Tensor, "_ _ c"]],
        level: int,
        boxes_xyxy: Float[Tensor, "R 4"],
        logits: Float[Tensor, " R"],
    ) -> tuple[Float[Tensor, "R 4"], Float[Tensor, " R"]]:
        """Predict corrections for boxes of one level of one image.

        Args:
            maps: From ``forward``, of this image.
            level: Of the boxes.
            boxes_xyxy: In resized pixels.
            logits: Of their scores.

        Returns:
            Deltas relative to these boxes, and corrected logits.
        """
        source = max(0, level - self.settings.finer)
        features = grid_features(
            maps[source].float(), boxes_xyxy, self.strides[source], self.settings.grid, self.settings.margin
        )
        return self.correct_by(features, logits)

    def correct_by(
        self, features: Float[Tensor, "R G c"], logits: Float[Tensor, " R"]
    ) -> tuple[Float[Tensor, "R 4"], Float[Tensor, " R"]]:
        """Predict corrections by the features at the grid points of boxes; returns as ``correct``."""
        predicted = self.predictor(self.hidden(features.flatten(1))).float()
        return predicted[:, 1:] * self.delta_scale, logits + predicted[:, 0]


# Level, boxes ``(R, 4)`` and logits ``(R,)`` in, deltas relative to these boxes and corrected logits out.
Correct: TypeAlias = Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]


def refine_best(
    correct: Correct,
    count: int,
    size_hw: tuple[int, int],
    settings: SelectSettings,
    delta_clamp: float,
    level: int,
    boxes_xyxy: Float[Tensor, "K 4"],
    scores: Float[Tensor, " K"],
) -> tuple[Float[Tensor, "K 4"], Float[Tensor, " K"]]:
    """Correct the first ``count`` boxes of a level; a correction that makes a box unusable is not applied.

    Args:
        correct: Predicts the corrections.
        count: Number of boxes to correct.
        size_hw: (height, width) of the image.
        settings: The smallest side.
        delta_clamp: As in ``decode``.
        level: Of the boxes.
        boxes_xyxy: Best first.
        scores: Probabilities; ``UNUSABLE`` marks boxes that cannot be used.

    Returns:
        Boxes and scores, best first.
    """
    most = torch.sym_min(count, scores.shape[0])
    before, first = boxes_xyxy[:most], scores[:most]
    usable = first >= 0
    # A box that is not finite has no place in a map.
    deltas, logits = correct(level, torch.where(usable[:, None], before, 0), torch.logit(first, eps=SCORE_EPS))
    after = clip(decode(deltas, before, delta_clamp), size_hw)
    sides = after[:, 2:] - after[:, :2]
    better = ((sides >= settings.min_size) & (sides > 0)).all(dim=1) & torch.isfinite(logits) & usable
    boxes = torch.cat([torch.where(better[:, None], after, before), boxes_xyxy[most:]])
    scores = torch.cat([torch.where(better, torch.sigmoid(logits), first), scores[most:]])
    scores, order = highest(scores, scores.shape[0])  # len would be a fixed number in an exported graph
    return boxes[order], scores


def grid_features(
    feature_map: Float[Tensor, "H W c"], boxes_xyxy: Float[Tensor, "R 4"], stride: int, grid: int, margin: float
) -> Float[Tensor, "R G c"]:
    """The map at ``grid x grid`` points of each box, between four cells each (RoIAlign with one sample a bin).

    Args:
        feature_map: Cell (0, 0) is centred ``stride / 2`` pixels from the corner.
        boxes_xyxy: In pixels.
        stride: Pixels between cells.
        grid: Points on a side, in the middle of equal parts.
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
            # An embedding is a gather whose gradient is summed up quickly on a CPU too.
            part = F.embedding(place, rows) * weight[:, :, None]
            total = part if total is None else total + part
    assert total is not None
    return total


def _neighbours(cells: Float[Tensor, "R g"], count: int) -> tuple[Tensor, Tensor, Float[Tensor, "R g"]]:
    """The cells before and after each position on an axis of ``count`` cells, and the weight of the latter."""
    cells = cells.clamp(min=0).clamp(max=count - 1)
    before = cells.floor()
    after = (before + 1).clamp(max=count - 1)
    return before.long(), after.long(), cells - before
