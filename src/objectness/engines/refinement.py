"""The refinement head in NumPy: grid points of boxes on a map, and the corrections by the features there.

As ``objectness.rpn.extensions.refinement_head``, to rounding. R boxes, g grid points a side, G = g * g, c channels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

SCORE_EPS = 1e-6  # a score of exactly 0 or 1 can still be corrected

Floats = NDArray[np.float32]
Places = NDArray[np.int64]

# Rows and columns ``(R, G)`` of cells of a map in, their features ``(R, G, c)`` out.
ReadCells = Callable[[Places, Places], Floats]


@dataclass(frozen=True, eq=False)
class GridCells:
    """The four cells around each grid point of boxes, and how much the latter ones count.

    Attributes:
        above, below: ``int64 (R, g)`` rows of cells.
        left, right: ``int64 (R, g)`` columns of cells.
        lowness: ``float32 (R, g)`` in [0, 1): the weight of ``below``; ``above`` has the rest.
        rightness: ``float32 (R, g)`` likewise, of ``right``.
    """

    above: Places
    below: Places
    lowness: Floats
    left: Places
    right: Places
    rightness: Floats

    def features(self, read: ReadCells) -> Floats:
        """The features ``(R, G, c)`` at the grid points, row by row of the grid.

        Args:
            read: Called four times, with one of the four cells of every point.
        """
        total = None
        for y, weight_y in ((self.above, 1 - self.lowness), (self.below, self.lowness)):
            for x, weight_x in ((self.left, 1 - self.rightness), (self.right, self.rightness)):
                shape = (len(y), y.shape[1] * x.shape[1])
                rows = np.broadcast_to(y[:, :, None], (*y.shape, x.shape[1])).reshape(shape)
                columns = np.broadcast_to(x[:, None, :], (len(x), y.shape[1], x.shape[1])).reshape(shape)
                weight = (weight_y[:, :, None] * weight_x[:, None, :]).reshape(shape)
                part = read(rows, columns) * weight[:, :, None]
                total = part if total is None else total + part
        assert total is not None
        return total


def grid_cells(boxes_xyxy: Floats, map_hw: tuple[int, int], stride: int, grid: int, margin: float) -> GridCells:
    """Where the ``grid x grid`` points of boxes lie on a map.

    Args:
        boxes_xyxy: ``(R, 4)`` in pixels of the whole image; finite.
        map_hw: (height, width) of the whole image's map. Points outside it read its border.
        stride: Pixels between its cells; cell (0, 0) is centred ``stride / 2`` pixels from the corner.
        grid: Points a side, in the middle of equal parts.
        margin: The grid spans this multiple of the box.
    """
    steps = (np.arange(grid, dtype=np.float32) + np.float32(0.5)) / np.float32(grid) - np.float32(0.5)
    centres: Floats = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / np.float32(2)
    sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
    points = centres[:, :, None] + sides[:, :, None] * np.float32(margin) * steps  # (R, 2, g)
    cells: Floats = points / np.float32(stride) - np.float32(0.5)
    left, right, rightness = _neighbours(cells[:, 0], map_hw[1])
    above, below, lowness = _neighbours(cells[:, 1], map_hw[0])
    return GridCells(above, below, lowness, left, right, rightness)


def grid_features(feature_map: Floats, boxes_xyxy: Floats, stride: int, grid: int, margin: float) -> Floats:
    """The features ``(R, G, c)`` at the grid points of boxes on a map ``(h, w, c)``; see ``grid_cells``."""
    height, width = feature_map.shape[:2]
    cells = grid_cells(boxes_xyxy, (height, width), stride, grid, margin)
    return cells.features(lambda rows, columns: feature_map[rows, columns])


@dataclass(frozen=True, eq=False)
class RefinementWeights:
    """Two hidden layers and the prediction: a change of the score's logit, and four deltas.

    Attributes:
        hidden: Weight ``(out, in)`` and bias ``(out,)`` of each hidden layer.
        predictor: The same of the last layer, with five outputs.
        delta_scale: ``(4,)``: what the last four are multiplied by.

    Raises:
        ValueError: Shapes that do not fit one another.
    """

    hidden: tuple[tuple[Floats, Floats], ...]
    predictor: tuple[Floats, Floats]
    delta_scale: Floats

    def __post_init__(self) -> None:
        layers = (*self.hidden, self.predictor)
        widths = [weight.shape[::-1] for weight, _ in layers if weight.ndim == 2]
        fits = len(widths) == len(layers) and widths[-1][1] == 5 and self.delta_scale.shape == (4,)
        fits = fits and all(bias.shape == (width[1],) for (_, bias), width in zip(layers, widths, strict=True))
        if not fits or any(before[1] != after[0] for before, after in pairwise(widths)):
            raise ValueError("The layers of a refinement head do not fit one another.")

    @property
    def inputs(self) -> int:
        """Numbers that it reads of a box: G * c."""
        return int((*self.hidden, self.predictor)[0][0].shape[1])

    def correct(self, features: Floats, scores: Floats) -> tuple[Floats, Floats]:
        """Corrections of boxes.

        Args:
            features: ``(R, G, c)`` at their grid points.
            scores: ``(R,)`` of the first stage.

        Returns:
            Deltas ``(R, 4)`` relative to these boxes, and corrected scores ``(R,)``; NaN for a score whose logit is
            not finite.
        """
        values = features.reshape(len(features), self.inputs)
        for weight, bias in self.hidden:
            values = np.maximum(values @ weight.T + bias, 0)
        weight, bias = self.predictor
        predicted = values @ weight.T + bias
        logits = logit(scores) + predicted[:, 0]
        corrected = np.where(np.isfinite(logits), sigmoid(logits), np.float32(np.nan))
        return predicted[:, 1:] * self.delta_scale, corrected


def sigmoid(logits: Floats) -> Floats:
    """Probabilities of logits, in ``float32``."""
    with np.errstate(over="ignore"):
        probabilities: Floats = np.float32(1) / (np.float32(1) + np.exp(-logits))
    return probabilities


def logit(scores: Floats) -> Floats:
    """Logits of probabilities, which are kept off 0 and 1 by ``SCORE_EPS``."""
    inside = np.clip(scores, np.float32(SCORE_EPS), np.float32(1 - SCORE_EPS))
    logits: Floats = np.log(inside / (np.float32(1) - inside))
    return logits


def _neighbours(cells: Floats, count: int) -> tuple[Places, Places, Floats]:
    """The cells before and after each position on an axis of ``count`` cells, and the weight of the latter."""
    cells = np.clip(cells, 0, count - 1)
    before = np.floor(cells)
    after = np.minimum(before + 1, count - 1)
    return before.astype(np.int64), after.astype(np.int64), (cells - before).astype(np.float32)
