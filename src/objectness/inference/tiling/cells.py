"""The best cells of an image, gathered tile by tile: memory for as many as are asked for, whatever the image's size.

A cell here is one anchor of a map's cell: its score, its deltas and its index on the level of the whole image (row by
row, in a cell the anchors' own order). N cells, k anchors of a cell, L levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from objectness.engines.dense import Geometry, Maps
from objectness.engines.map_selection import best_cells
from objectness.inference.tiling.grid import Tile

Floats = NDArray[np.float32]
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of a level.

    Attributes:
        scores: ``float32 (N,)``.
        deltas: ``float32 (N, 4)``.
        index: ``int64 (N,)`` on the level of the whole image.
    """

    scores: Floats
    deltas: Floats
    index: Places

    @classmethod
    def none(cls) -> Cells:
        """No cell."""
        return cls(np.empty(0, np.float32), np.empty((0, 4), np.float32), np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, places: Places | NDArray[np.bool_]) -> Cells:
        return Cells(self.scores[places], self.deltas[places], self.index[places])


@dataclass(frozen=True, eq=False)
class LevelGrid:
    """Places of a level's cells on the whole image.

    Attributes:
        stride: Pixels between cells.
        pitch: Cells of a row in the count of indices: at least as many as the map has.
        anchors_xyxy: ``float32 (k, 4)`` of the cell at the image's corner.
    """

    stride: int
    pitch: int
    anchors_xyxy: Floats

    @classmethod
    def of_maps(cls, maps: Maps, geometry: Geometry, size_hw: tuple[int, int]) -> list[LevelGrid]:
        """Those of each level, by the maps of any window and the size of the whole image."""
        return [
            cls(stride, -(-size_hw[1] // stride) + 1, anchors[0, 0])
            for stride, anchors in zip(geometry.strides, maps.anchors_xyxy, strict=True)
        ]

    def index(self, y: int, x: int, shape: tuple[int, int, int]) -> Places:
        """Indices ``(N,)`` of a block of ``shape`` (h, w, k) whose first cell is in row ``y`` and column ``x``."""
        height, width, k = shape
        rows = (y + np.arange(height)) * self.pitch
        cells = rows[:, None] + x + np.arange(width)
        return (cells[:, :, None] * k + np.arange(k)).reshape(-1)

    def anchors_of(self, index: Places) -> NDArray[np.float64]:
        """The anchors ``(N, 4)`` of cells, in pixels of the whole image; exact, as strides are whole numbers."""
        cell, own = np.divmod(index, len(self.anchors_xyxy))
        y, x = np.divmod(cell, self.pitch)
        corner = (np.stack([x, y, x, y], axis=1) * self.stride).astype(np.float64)
        return corner + self.anchors_xyxy[own]


class CellStore:
    """The best cells of one level, of whatever is added in whatever order.

    Args:
        count: How many.
        cells: What there is already.
    """

    def __init__(self, count: int, cells: Cells | None = None) -> None:
        self._count = count
        self._parts = [cells or Cells.none()]
        self._held = len(self._parts[0])
        self.floor = -np.inf
        """A cell of a lower score cannot be one of the best any more."""
        self._cut()

    def add(self, cells: Cells) -> None:
        """Add cells that nothing else was added for."""
        self._parts.append(cells)
        self._held += len(cells)
        if 2 * self._held > 3 * self._count:
            self._cut()

    def best(self) -> Cells:
        """The best, best first; of equal scores that of the lower index, also where they are cut."""
        self._cut()
        return self._parts[0]

    def _cut(self) -> None:
        parts = self._parts
        cells = Cells(
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.deltas for part in parts]),
            np.concatenate([part.index for part in parts]),
        )
        if len(cells) > self._count:
            least = np.partition(cells.scores, len(cells) - self._count)[len(cells) - self._count]
            cells = cells[cells.scores >= least]
        cells = cells[np.lexsort((cells.index, -cells.scores))[: self._count]]
        self._parts, self._held = [cells], len(cells)
        if len(cells) == self._count:
            self.floor = float(cells.scores[-1])


def core_of(maps: Maps, level: int, tile: Tile, stride: int, size_hw: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a window's map that belong to the tile's core; to the map's end at the image's border."""
    core, window = tile.core, tile.window
    map_hw = maps.scores[level].shape[:2]
    spans = []
    for begin, length, start, whole, cells in (
        (core.y, core.height, window.y, size_hw[0], map_hw[0]),
        (core.x, core.width, window.x, size_hw[1], map_hw[1]),
    ):
        end = begin + length
        first = min((begin - start) // stride, cells)
        spans.append(slice(first, cells if end == whole else min((end - start) // stride, cells)))
    return spans[0], spans[1]


def cells_of_tile(
    maps: Maps,
    level: int,
    tile: Tile,
    grid: LevelGrid,
    size_hw: tuple[int, int],
    geometry: Geometry,
    count: int,
    floor: float,
) -> Cells:
    """The best usable cells of a tile's core: at most ``count``, none that scores below ``floor``.

    Args:
        maps: Of the window.
        level: Of the maps.
        tile: Core and window.
        grid: Of the level.
        size_hw: (height, width) of the whole image.
        geometry: Of the network.
        count: Cells of the level that are asked for.
        floor: From ``CellStore.floor``.
    """
    rows, columns = core_of(maps, level, tile, grid.stride, size_hw)
    scores = maps.scores[level][rows, columns]
    shape = (scores.shape[0], scores.shape[1], scores.shape[2])
    y, x = tile.window.y // grid.stride + rows.start, tile.window.x // grid.stride + columns.start
    cells = Cells(scores.reshape(-1), maps.deltas[level][rows, columns].reshape(-1, 4), grid.index(y, x, shape))
    cells = cells[np.flatnonzero(cells.scores >= floor)]  # NaN is none
    return cells[best_cells(cells.scores, cells.deltas, grid.anchors_of(cells.index), size_hw, geometry, count)]
