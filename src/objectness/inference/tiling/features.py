"""Features for the refinement head of a whole image, written core by core and read where boxes need them.

They lie in memory where they are few, and else in a file: a box of any size then finds the features of all its points.
c channels, R boxes, G grid points of a box.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from objectness.engines.dense import DenseEngine
from objectness.engines.map_selection import Floats as Boxes
from objectness.engines.refinement import GridCells, grid_cells
from objectness.errors import InputError

MOST_BYTES_IN_MEMORY = 16_000_000
_READ_BYTES = 16_000_000  # of the file that are held at once
_MOST_BOXES_AT_ONCE = 2048
_ROOM_LEFT = 64_000_000  # bytes that are left on the disk for others
_ELSEWHERE = "set TMPDIR, or the folder of the results if they go on there, to a larger disk"

Floats = NDArray[np.float32]
Places = NDArray[np.int64]


class FeatureStore:
    """Feature maps of the levels that the refinement head reads.

    Args:
        maps_hw: (rows, columns) of each level, at most.
        channels: c.
        path: The file; it is made where it is not there. None for the memory, or a temporary file where that is too
            small.

    Raises:
        InputError: There is no room for them on the disk.
    """

    def __init__(self, maps_hw: Sequence[tuple[int, int]], channels: int, path: Path | None = None) -> None:
        self._shapes = [(height, width, channels) for height, width in maps_hw]
        sizes = [4 * height * width * channels for height, width in maps_hw]
        self._starts = [sum(sizes[:level]) for level in range(len(sizes))]
        self._extent = [(0, 0)] * len(sizes)
        self._arrays: list[Floats] = []
        self._file = None
        self._reading = Lock()
        self.channels = channels
        if path is None and sum(sizes) <= MOST_BYTES_IN_MEMORY:
            self._arrays = [np.zeros(shape, np.float32) for shape in self._shapes]
            return
        folder = Path(tempfile.gettempdir()) if path is None else path.parent
        there = path.stat().st_size if path is not None and path.exists() else 0
        _require_room(folder, sum(sizes) - there)
        try:
            if path is None:
                self._file = tempfile.TemporaryFile(prefix="objectness-features-", buffering=0)  # noqa: SIM115
            else:
                path.touch()
                self._file = path.open("r+b", buffering=0)
        except OSError as error:
            raise _no_room(folder, error) from None
        self._folder = folder

    def write(self, level: int, y: int, x: int, block: Floats) -> None:
        """Write a block ``(h, w, c)`` whose first cell is in row ``y`` and column ``x`` of the level.

        Raises:
            InputError: The disk is full.
        """
        height, width = block.shape[:2]
        if not height or not width:
            return
        known = self._extent[level]
        self._extent[level] = max(known[0], y + height), max(known[1], x + width)
        if self._file is None:
            self._arrays[level][y : y + height, x : x + width] = block
            return
        try:
            for row, values in enumerate(np.ascontiguousarray(block)):
                self._file.seek(self._place(level, y + row, x))
                self._file.write(memoryview(values).cast("B"))
        except OSError as error:
            raise _no_room(self._folder, error) from None

    @property
    def levels(self) -> int:
        """Number of levels."""
        return len(self._shapes)

    def extent(self, level: int) -> tuple[int, int]:
        """(rows, columns) of what was written."""
        return self._extent[level]

    def resume(self, extents: Sequence[tuple[int, int]]) -> None:
        """Take the file's content as written, as far as an earlier ``extent``."""
        self._extent = [(height, width) for height, width in extents]

    def row(self, level: int, y: int) -> Floats:
        """A row ``(columns, c)`` of a level; several threads may call this at once.

        Raises:
            InputError: The file cannot be read any more.
        """
        columns = self._extent[level][1]
        if self._file is None:
            return self._arrays[level][y, :columns]
        try:
            with self._reading:
                self._file.seek(self._place(level, y, 0))
                content = self._file.read(4 * columns * self.channels)
        except OSError as error:
            raise _no_room(self._folder, error) from None
        if len(content) < 4 * columns * self.channels:
            raise InputError(
                f"{self._folder}: the features of an earlier run are cut short there; start without resume."
            )
        return np.frombuffer(content, np.float32).reshape(columns, self.channels)

    def close(self) -> None:
        """Release the memory or the file; a temporary one is gone then."""
        self._arrays = []
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def _place(self, level: int, y: int, x: int) -> int:
        return self._starts[level] + 4 * self.channels * (y * self._shapes[level][1] + x)


def corrections_from(
    store: FeatureStore, engine: DenseEngine, level: int, boxes_xyxy: Boxes, scores: Boxes
) -> tuple[Floats, Floats]:
    """Deltas ``(R, 4)`` and scores ``(R,)`` that the refinement head predicts for boxes of a level.

    Boxes are taken from top to bottom, as many at a time as have their rows of features in little memory.

    Args:
        store: Of the whole image.
        engine: With the refinement head.
        level: Of the boxes.
        boxes_xyxy: ``(R, 4)`` in pixels of the whole image.
        scores: ``(R,)``.
    """
    own, strides = engine.geometry.refinement, engine.geometry.strides
    assert own is not None
    source = max(0, level - own.finer)
    map_hw = store.extent(source)
    boxes, first = boxes_xyxy.astype(np.float32), scores.astype(np.float32)
    deltas, corrected = np.empty((len(boxes), 4), np.float32), np.empty(len(boxes), np.float32)
    down = np.lexsort((np.arange(len(boxes)), boxes[:, 1] + boxes[:, 3]))
    start, size = 0, _MOST_BOXES_AT_ONCE
    row_bytes = 4 * map_hw[1] * store.channels
    while start < len(down):
        some = down[start : start + size]
        cells = grid_cells(boxes[some], map_hw, strides[source], own.grid, own.margin)
        rows = np.unique(np.concatenate([cells.above.reshape(-1), cells.below.reshape(-1)]))
        if len(rows) * row_bytes > _READ_BYTES and len(some) > 1:
            size = len(some) // 2
            continue
        deltas[some], corrected[some] = engine.refine(_features(store, source, rows, cells), first[some])
        start, size = start + len(some), _MOST_BOXES_AT_ONCE
    return deltas, corrected


def _features(store: FeatureStore, level: int, rows: Places, cells: GridCells) -> Floats:
    """The features ``(R, G, c)`` at grid points, of the rows that they need."""
    read = np.stack([store.row(level, int(y)) for y in rows])
    return cells.features(lambda y, x: read[np.searchsorted(rows, y), x])


def _require_room(folder: Path, needed: int) -> None:
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return  # the writing will say
    if needed + _ROOM_LEFT > free:
        raise InputError(
            f"{folder}: the second stage of the network needs {(needed + _ROOM_LEFT) / 1e6:,.0f} MB there for its "
            f"features, and {free / 1e6:,.0f} MB are free: make room there, or {_ELSEWHERE}."
        )


def _no_room(folder: Path, error: OSError) -> InputError:
    if error.errno == errno.ENOSPC:
        return InputError(f"{folder}: the disk is full; make room there, or {_ELSEWHERE}.")
    reason = error.strerror or os.strerror(error.errno or 0)
    return InputError(f"{folder}: the features of the network cannot be kept there ({reason}); name another folder.")
