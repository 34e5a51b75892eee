"""Boxes that overlap by more than a threshold, found without looking at every pair.

An IoU above t bounds how far two boxes can differ: their heights within a factor t, their centres within a fixed
share of either box's sides. So boxes are sorted into rows as high as boxes of about one size need, and along each
row by x; the possible partners of a box lie in one short run of a few rows. N boxes, Q queries, K entries, P pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]

_PAIRS_AT_A_TIME = 2**15  # that fit into a processor's cache
_FINEST_ROW = 2.0**-16  # of the whole height; with the groups and sizes it leaves x enough digits of a float64
_ALL_PAIRS_BELOW = 0.02  # thresholds that bound too little to be of use


@dataclass(frozen=True, eq=False)
class Directory:
    """Some of the boxes, found by place: ``keys (K,)`` ascending, and the box behind each, ``boxes (K,)``.

    A box stands in it once for each height that its partners may have.
    """

    keys: NDArray[np.float64]
    boxes: Indices


@dataclass(frozen=True, eq=False)
class Runs:
    """Possible partners: ``counts`` entries of a directory from ``starts`` on, for each of ``queries (Q,)``."""

    queries: Indices
    starts: Indices
    counts: Indices

    @property
    def total(self) -> int:
        """Number of pairs."""
        return int(self.counts.sum())


class OverlapIndex:
    """An index of boxes by place and size, which finds pairs that overlap.

    Args:
        boxes_xyxy: ``(N, 4)`` in float32 or float64, all with a finite area above 0.
        threshold: Pairs with an IoU above it are looked for; from 0 on.
        groups: ``(N,)``: boxes of different groups are no pairs.
    """

    def __init__(self, boxes_xyxy: Numbers, threshold: float, groups: NDArray[np.integer[Any]] | None = None) -> None:
        self._x1, self._y1, self._x2, self._y2 = (np.ascontiguousarray(column) for column in boxes_xyxy.T)
        width, height = self._x2 - self._x1, self._y2 - self._y1
        self._area = width * height
        self._threshold = _largest_not_above(threshold, boxes_xyxy.dtype)
        reach, similar = _reach(threshold), min(threshold, 1.0) * 0.999

        x, y = _from_zero(self._x1, width), _from_zero(self._y1, height)
        whole_x, whole_y = max(x.max(), 1e-30), max(y.max(), 1e-30)
        # Sizes: powers of two above the lowest box. Where the threshold bounds nothing, all are of one size.
        tall = float(height.max())
        unit = max(float(height.min()), tall * 2.0**-60) if reach < np.inf else tall
        units = height.astype(np.float64) / unit
        self._size = _power(units)
        sizes = int(self._size.max()) + 1
        top = 2.0 ** (sizes - 1)
        self._smallest_partner = _power(np.minimum(units * similar, top))
        self._largest_partner = _power(np.minimum(units / similar, top)) if similar > 0 else self._size

        rows_wanted = reach * unit * 2.0 ** np.arange(1, sizes + 1)
        self._row_height = np.clip(rows_wanted, whole_y * _FINEST_ROW, whole_y)
        rows = np.floor(whole_y / self._row_height) + 1
        self._first_row = np.cumsum(rows) - rows
        self._group_row = np.zeros(len(x)) if groups is None else _from_lowest(groups) * rows.sum()
        groups_rows = float(self._group_row.max()) + rows.sum()

        # A key is the row plus x in [0, 0.5]: the slack at its ends never reaches the next row.
        self._x = x * (0.5 / whole_x)
        slack = reach * (0.5 / whole_x) * width.astype(np.float64) + 2.0**-50 * (groups_rows + 1)
        self._x_from, self._x_to = np.maximum(self._x - slack, 0), np.minimum(self._x + slack, 0.75)
        self._y = y
        own = self._row_height[self._size]
        base = self._first_row[self._size] + self._group_row
        span = reach * height.astype(np.float64)
        last = rows[self._size] - 1
        self._row_from = base + np.clip(np.floor((y - span) / own), 0, last)
        self._row_to = base + np.clip(np.floor((y + span) / own), 0, last)
        self._home = base + np.floor(y / own) + self._x

    def by_place(self, boxes: Indices) -> Indices:
        """The same boxes with neighbours close to one another, which is kinder to a processor's cache."""
        ordered: Indices = boxes[np.argsort(self._home[boxes])]
        return ordered

    def directory(self, boxes: Indices) -> Directory:
        """A directory of these boxes."""
        keys, entries = [np.empty(0)], [boxes[:0]]
        size, largest = self._smallest_partner[boxes], self._largest_partner[boxes]
        while len(boxes):
            row = np.floor(self._y[boxes] / self._row_height[size]) + self._first_row[size] + self._group_row[boxes]
            keys.append(row + self._x[boxes])
            entries.append(boxes)
            more = np.flatnonzero(size < largest)
            boxes, size, largest = boxes[more], size[more] + 1, largest[more]
        all_keys, all_entries = np.concatenate(keys), np.concatenate(entries)
        order = np.argsort(all_keys)
        return Directory(all_keys[order], all_entries[order])

    def runs(self, queries: Indices, directory: Directory) -> Runs:
        """Where in the directory the partners of the boxes ``queries (Q,)`` can be."""
        parts = [(queries[:0], queries[:0], queries[:0])]
        row, last = self._row_from[queries], self._row_to[queries]
        while len(queries):
            starts = np.searchsorted(directory.keys, row + self._x_from[queries])
            ends = np.searchsorted(directory.keys, row + self._x_to[queries], side="right")
            some = np.flatnonzero(ends > starts)
            parts.append((queries[some], starts[some], (ends - starts)[some]))
            more = np.flatnonzero(row < last)
            queries, row, last = queries[more], row[more] + 1, last[more]
        return Runs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def pairs(self, runs: Runs, directory: Directory) -> Iterator[tuple[Indices, Indices]]:
        """Pairs whose IoU is above the threshold: ``(P,)`` queries and ``(P,)`` their partners, a part at a time.

        A box that is in the directory is its own partner too.
        """
        ends = np.cumsum(runs.counts)
        shifts = runs.starts - (ends - runs.counts)
        cuts = np.searchsorted(ends, np.arange(_PAIRS_AT_A_TIME, runs.total, _PAIRS_AT_A_TIME))
        edges = np.unique(np.concatenate([[0], cuts, [len(ends)]]))
        for start, stop in pairwise(edges.tolist()):
            queries, counts = runs.queries[start:stop], runs.counts[start:stop]
            places = np.arange(ends[start] - counts[0], ends[stop - 1]) + np.repeat(shifts[start:stop], counts)
            partners = directory.boxes[places]
            found = np.flatnonzero(self._overlaps(queries, counts, partners) > self._threshold)
            yield np.repeat(queries, counts)[found], partners[found]

    def _overlaps(self, queries: Indices, counts: Indices, partners: Indices) -> Numbers:
        """IoU of each of ``queries``, ``counts`` times over, with its partners, in torchvision's order of steps."""

        def own(values: Numbers) -> Numbers:
            return np.repeat(values[queries], counts)  # several times faster than to gather by repeated indices

        width = np.minimum(own(self._x2), self._x2[partners])
        width -= np.maximum(own(self._x1), self._x1[partners])
        height = np.minimum(own(self._y2), self._y2[partners])
        height -= np.maximum(own(self._y1), self._y1[partners])
        common: Numbers = np.maximum(width, 0, out=width)
        common *= np.maximum(height, 0, out=height)
        union = own(self._area)
        union += self._area[partners]
        union -= common
        common /= union
        return common


def _reach(threshold: float) -> float:
    """Largest distance of the centres of two boxes with an IoU above the threshold, in sides of either box.

    Let the sides be a <= b along one axis. IoU > t means a common length above t * b, hence a distance below
    (a + b) / 2 - t * b, with b <= a / t: at most (1 - t) * a where t >= 1/2, and else (1 / 2t - 1/2) * a. The
    little that is added covers rounding.
    """
    if threshold < _ALL_PAIRS_BELOW:
        return np.inf
    bound = 1 - threshold if threshold >= 0.5 else (1 / threshold - 1) / 2
    return max(bound, 0.0) * 1.001 + 1e-5


def _from_lowest(groups: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Numbers of groups as small as they can be: large ones would leave x too few digits."""
    numbers = groups.astype(np.float64) - float(groups.min())
    if numbers.max() > 2**12:
        numbers = np.unique(groups, return_inverse=True)[1].astype(np.float64)
    return numbers


def _from_zero(low: Numbers, length: Numbers) -> NDArray[np.float64]:
    """Middles, counted from the smallest."""
    middle: NDArray[np.float64] = low.astype(np.float64) + length.astype(np.float64) / 2
    middle -= middle.min()
    return middle


def _power(numbers: NDArray[np.float64]) -> Indices:
    """floor(log2) of each number, at least 0."""
    return np.frexp(np.maximum(numbers, 1.0))[1].astype(np.int64) - 1


def _largest_not_above(number: float, dtype: np.dtype[Any]) -> Any:
    """The largest number of this type that is not above: x > it says the same as x > number in double precision."""
    rounded = dtype.type(number)
    return np.nextafter(rounded, dtype.type(-np.inf)) if float(rounded) > number else rounded
