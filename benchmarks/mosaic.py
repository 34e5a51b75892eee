"""A huge image laid out from everyday photographs, with their boxes: ground truth at any size.

Photographs lie whole and at their own resolution, in rows, the highest first. What is left is filled with pieces of
further photographs, which are ignore regions. Nothing is drawn by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objectness.datasets.records import Record
from objectness.images import open_upright
from objectness.images.windows.protocol import Rectangle

_LOWER = 0.04  # share of a row's height by which its photographs may be lower, and of its width that may stay free


@dataclass(frozen=True, eq=False)
class Place:
    """A photograph in the mosaic.

    Attributes:
        record: Its file and boxes.
        part: Where it lies; smaller than the photograph where only its upper left piece is shown.
        whole: Whether all of it is shown, so that its boxes count.
    """

    record: Record
    part: Rectangle
    whole: bool


@dataclass(frozen=True, eq=False)
class Mosaic:
    """A layout; :func:`paint` makes pixels of it.

    Attributes:
        size_hw: (height, width).
        places: That do not overlap, and cover everything.
    """

    size_hw: tuple[int, int]
    places: tuple[Place, ...]

    @property
    def photographs(self) -> tuple[Place, ...]:
        """Those that are shown whole."""
        return tuple(place for place in self.places if place.whole)

    @property
    def photographs_worth(self) -> float:
        """How many photographs of their mean area the mosaic is worth: its share of the proposals."""
        areas = [place.part.height * place.part.width for place in self.photographs]
        return self.size_hw[0] * self.size_hw[1] / float(np.mean(areas))

    def record(self, path: Path) -> Record:
        """The whole mosaic as one image: the boxes of whole photographs, all other pieces as ignore regions."""
        pieces = [_corners(place.part) for place in self.places if not place.whole]
        records = [place.record for place in self.photographs]
        moved = [one.boxes_xyxy + _offset(place.part) for one, place in zip(records, self.photographs, strict=True)]
        boxes = np.concatenate([np.zeros((0, 4)), *moved, *(piece[None] for piece in pieces)]).astype(np.float32)
        fill = np.zeros(len(pieces))
        ignore = np.concatenate([*(one.ignore for one in records), fill == 0]).astype(bool)
        areas = np.concatenate([*(one.areas for one in records), fill]).astype(np.float32)
        ids = np.concatenate([*(one.class_ids for one in records), fill]).astype(np.int64)
        return Record(0, path, self.size_hw, boxes, ids, ignore, areas)


def lay_out(records: Sequence[Record], size_hw: tuple[int, int], origin_yx: tuple[int, int] = (0, 0)) -> Mosaic:
    """Photographs in rows, the highest first, then the file's order.

    Args:
        records: With their sizes. Those that are higher or wider than the mosaic are left out.
        size_hw: (height, width) of the mosaic.
        origin_yx: Where the first photograph's corner lies: the same layout moved down and to the right, so that
            borders of tiles fall elsewhere. Photographs that no longer fit become pieces.

    Raises:
        ValueError: No photograph fits.
    """
    height, width = size_hw
    fitting = [one for one in records if one.size_hw and one.size_hw[0] <= height and one.size_hw[1] <= width]
    if not fitting:
        raise ValueError(f"None of the {len(records)} photographs fits into {width} x {height} pixels.")
    waiting = sorted(fitting, key=lambda one: -_height(one))
    places: list[Place] = []
    y = 0
    while row := _row(waiting, width, height - y):
        x = 0
        for record in row:
            places.append(Place(record, Rectangle(y, x, _height(record), _width(record)), whole=True))
            waiting.remove(record)
            x += _width(record)
        y += _height(row[0])
    whole = [moved for place in places if (moved := _moved(place, origin_yx, size_hw)) is not None]
    return Mosaic(size_hw, (*whole, *_filled(whole, size_hw, waiting or fitting)))


def paint(mosaic: Mosaic, part: Rectangle) -> NDArray[np.uint8]:
    """The pixels ``uint8 (height, width, 3)`` of a part."""
    pixels = np.zeros((part.height, part.width, 3), np.uint8)
    for place in mosaic.places:
        common = intersection(place.part, part)
        if common is not None:
            photograph = _pixels(place.record.path)
            y, x = common.y - place.part.y, common.x - place.part.x
            shown = photograph[y : y + common.height, x : x + common.width]
            y, x = common.y - part.y, common.x - part.x
            pixels[y : y + common.height, x : x + common.width] = shown
    return pixels


def intersection(one: Rectangle, other: Rectangle) -> Rectangle | None:
    """What two rectangles have in common; None where that is nothing."""
    y, x = max(one.y, other.y), max(one.x, other.x)
    bottom = min(one.y + one.height, other.y + other.height)
    right = min(one.x + one.width, other.x + other.width)
    return Rectangle(y, x, bottom - y, right - x) if bottom > y and right > x else None


def _row(waiting: Sequence[Record], width: int, most_height: int) -> list[Record]:
    """The highest photographs that fill a row, nearly equal in height; else those that fill most of one."""
    best: list[Record] = []
    for number, highest in enumerate(waiting):
        if _height(highest) > most_height or (number and _height(highest) == _height(waiting[number - 1])):
            continue
        row, x = [], 0
        for record in waiting[number:]:
            if x + _width(record) <= width and _height(record) >= (1 - _LOWER) * _height(highest):
                row.append(record)
                x += _width(record)
        if x > (1 - _LOWER) * width:
            return row
        best = max(best, row, key=lambda one: sum(_width(record) for record in one))
    return best


def _moved(place: Place, origin_yx: tuple[int, int], size_hw: tuple[int, int]) -> Place | None:
    part = place.part._replace(y=place.part.y + origin_yx[0], x=place.part.x + origin_yx[1])
    shown = intersection(part, Rectangle(0, 0, *size_hw))
    return None if shown is None else replace(place, part=shown, whole=shown == part)


def _filled(places: Sequence[Place], size_hw: tuple[int, int], records: Sequence[Record]) -> Iterator[Place]:
    """Pieces of photographs that cover what the places leave, band by band between their edges."""
    edges = sorted({0, size_hw[0], *(edge for one in places for edge in (one.part.y, one.part.y + one.part.height))})
    largest = max(min(_height(one), _width(one)) for one in records)  # a square that some photograph covers
    open_gaps: dict[tuple[int, int], int] = {}  # left and right -> top of the gap
    number = 0
    for top, bottom in zip(edges, [*edges[1:], None], strict=True):
        gaps = set(_gaps(places, top, size_hw[1])) if bottom is not None else set()
        for gap in [gap for gap in open_gaps if gap not in gaps]:
            start = open_gaps.pop(gap)
            for part in _split(Rectangle(start, gap[0], top - start, gap[1] - gap[0]), largest):
                record = _first_that_covers(records, number, part)
                number += 1
                yield Place(record, part, whole=False)
        for gap in gaps - open_gaps.keys():
            open_gaps[gap] = top


def _gaps(places: Sequence[Place], y: int, width: int) -> Iterator[tuple[int, int]]:
    """Left and right of the stretches of a line that no place covers."""
    x = 0
    across = [one.part for one in places if one.part.y <= y < one.part.y + one.part.height]
    for part in sorted(across, key=lambda part: part.x):
        if part.x > x:
            yield x, part.x
        x = part.x + part.width
    if x < width:
        yield x, width


def _split(gap: Rectangle, most: int) -> Iterator[Rectangle]:
    """Parts of at most this side."""
    for y in range(0, gap.height, most):
        for x in range(0, gap.width, most):
            yield Rectangle(gap.y + y, gap.x + x, min(most, gap.height - y), min(most, gap.width - x))


def _first_that_covers(records: Sequence[Record], number: int, part: Rectangle) -> Record:
    turned = [records[(number + step) % len(records)] for step in range(len(records))]
    return next(one for one in turned if _height(one) >= part.height and _width(one) >= part.width)


@lru_cache(maxsize=64)
def _pixels(path: Path) -> NDArray[np.uint8]:
    return open_upright(path)


def _height(record: Record) -> int:
    assert record.size_hw is not None
    return record.size_hw[0]


def _width(record: Record) -> int:
    assert record.size_hw is not None
    return record.size_hw[1]


def _corners(part: Rectangle) -> NDArray[np.float64]:
    return np.array([part.x, part.y, part.x + part.width, part.y + part.height], dtype=np.float64)


def _offset(part: Rectangle) -> NDArray[np.float64]:
    return np.array([part.x, part.y, part.x, part.y], dtype=np.float64)
