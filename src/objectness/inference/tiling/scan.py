"""One scale of an image, tile by tile: the best cells of each level, and from them the candidates of the whole image.

Nothing is decided within a tile. Its maps give cells to one store a level and features to one store; what follows is
one decoding, one choice of the best, one refinement over the whole image, as without tiles. L levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objectness.engines.candidates import Candidates
from objectness.engines.dense import DenseEngine, Maps
from objectness.engines.map_selection import decode_inside, joined, refined
from objectness.inference.tiling.cells import Cells, CellStore, Floats, LevelGrid, cells_of_tile, core_of
from objectness.inference.tiling.features import FeatureStore, corrections_from
from objectness.inference.tiling.grid import Tile

_LEVELS_AT_ONCE = 2  # the two finest have nearly all of the boxes


@dataclass(frozen=True)
class Counts:
    """Numbers of boxes of a whole image.

    Attributes:
        pre_nms_top_n: Best of each level that enter suppression.
        refined: Best of each level that the refinement head corrects.
    """

    pre_nms_top_n: int
    refined: int


@dataclass(frozen=True, eq=False)
class TileFound:
    """What a tile gives.

    Attributes:
        grids: Places of each level's cells on the whole image.
        cells: The best of each level.
        features: Row, column and block ``(h, w, c)`` of each level that the refinement head reads.
    """

    grids: Sequence[LevelGrid]
    cells: Sequence[Cells]
    features: Sequence[tuple[int, int, NDArray[np.float32]]]


@dataclass(frozen=True, eq=False)
class ScanState:
    """A scan between two tiles, to be saved.

    Attributes:
        grids: As of ``TileFound``; empty before the first tile.
        cells: The best of each level so far.
        extents: (rows, columns) of each level's features so far.
        channels: Of the features.
    """

    grids: Sequence[LevelGrid]
    cells: Sequence[Cells]
    extents: Sequence[tuple[int, int]]
    channels: int


class Scan:
    """A scale of an image under way.

    Args:
        engine: The network.
        size_hw: (height, width) of the image at this scale.
        counts: Of boxes.
        features_path: Where features go; None for the memory or a temporary file.
        state: Of an earlier scan that goes on here; its features lie at ``features_path``.
    """

    def __init__(
        self,
        engine: DenseEngine,
        size_hw: tuple[int, int],
        counts: Counts,
        features_path: Path | None = None,
        state: ScanState | None = None,
    ) -> None:
        self._engine = engine
        self._size_hw = size_hw
        self._counts = counts
        self._features_path = features_path
        self._features: FeatureStore | None = None
        self._grids: Sequence[LevelGrid] = ()
        levels = len(engine.geometry.strides)
        self._stores = [CellStore(counts.pre_nms_top_n) for _ in range(levels)]
        if state is not None and state.grids:
            self._grids = state.grids
            self._stores = [CellStore(counts.pre_nms_top_n, cells) for cells in state.cells]
            if state.extents:
                self._features = self._feature_store(len(state.extents), state.channels)
                self._features.resume(state.extents)

    def find(self, tile: Tile, maps: Maps) -> TileFound:
        """What a tile gives, by the maps of its window; several threads may call this at once."""
        geometry = self._engine.geometry
        grids = LevelGrid.of_maps(maps, geometry, self._size_hw)
        cells = [
            cells_of_tile(
                maps, level, tile, grid, self._size_hw, geometry, self._counts.pre_nms_top_n, self._stores[level].floor
            )
            for level, grid in enumerate(grids)
        ]
        features = []
        for level, block in enumerate(maps.features):
            stride = grids[level].stride
            rows, columns = core_of(maps, level, tile, stride, self._size_hw)
            y, x = tile.window.y // stride + rows.start, tile.window.x // stride + columns.start
            features.append((y, x, block[rows, columns].copy()))  # not a view, which would hold all of the maps
        return TileFound(grids, cells, features)

    def take(self, found: TileFound) -> None:
        """Add what a tile gave; its place in the order makes no difference.

        Raises:
            InputError: The disk is full.
        """
        self._grids = found.grids
        for store, cells in zip(self._stores, found.cells, strict=True):
            store.add(cells)
        if not found.features:
            return
        if self._features is None:
            self._features = self._feature_store(len(found.features), found.features[0][2].shape[2])
        for level, (y, x, block) in enumerate(found.features):
            self._features.write(level, y, x, block)

    def state(self) -> ScanState:
        """All that a later scan needs to go on."""
        features = self._features
        levels = 0 if features is None else features.levels
        return ScanState(
            self._grids,
            [store.best() for store in self._stores],
            [] if features is None else [features.extent(level) for level in range(levels)],
            0 if features is None else features.channels,
        )

    @property
    def anchor_sizes(self) -> tuple[float, float]:
        """Square roots of the areas of the smallest and the largest anchor, in pixels of this scale."""
        sides = np.concatenate([grid.anchors_xyxy[:, 2:] - grid.anchors_xyxy[:, :2] for grid in self._grids])
        sizes = np.sqrt(sides.prod(axis=1))
        return float(sizes.min()), float(sizes.max())

    def candidates(self) -> Candidates:
        """The candidates of the whole image at this scale, in its pixels; scores are not calibrated.

        Raises:
            InputError: The features cannot be read any more.
        """
        with ThreadPoolExecutor(_LEVELS_AT_ONCE, thread_name_prefix="objectness-level") as pool:
            parts = list(pool.map(self._boxes_of_level, range(len(self._grids))))
        return joined([boxes for boxes, _ in parts], [scores for _, scores in parts])

    def _boxes_of_level(self, level: int) -> tuple[Floats, Floats]:
        """Boxes ``(K, 4)`` and scores ``(K,)``, best first."""
        geometry, size_hw = self._engine.geometry, self._size_hw
        cells = self._stores[level].best()
        anchors_xyxy = self._grids[level].anchors_of(cells.index)
        boxes, _ = decode_inside(cells.scores, cells.deltas, anchors_xyxy, size_hw, geometry)
        if geometry.refinement is None or not len(cells):
            return boxes.astype(np.float32), cells.scores
        assert self._features is not None
        correct = partial(corrections_from, self._features, self._engine)
        boxes, scores = refined(level, boxes, cells.scores, correct, size_hw, geometry, self._counts.refined)
        return boxes.astype(np.float32), scores.astype(np.float32)

    def close(self) -> None:
        """Release memory and files."""
        self._stores = []
        if self._features is not None:
            self._features.close()

    def _feature_store(self, levels: int, channels: int) -> FeatureStore:
        strides = self._engine.geometry.strides[:levels]
        maps_hw = [(-(-self._size_hw[0] // stride) + 1, -(-self._size_hw[1] // stride) + 1) for stride in strides]
        return FeatureStore(maps_hw, channels, self._features_path)
