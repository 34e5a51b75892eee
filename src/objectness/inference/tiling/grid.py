"""Tiles of an image: cores that share its cells out, and the windows around them that the network sees.

All borders lie at multiples of the coarsest stride, so that the cells of every level and the upsampling between levels
fall as they do on the whole image. A window is cut at the image's border: there, and only there, the network's zero
padding is that of the whole image.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from objectness.errors import InputError
from objectness.images.windows.protocol import Rectangle


@dataclass(frozen=True)
class Tile:
    """A part of the image whose cells are taken, and the part that the network sees for it.

    Attributes:
        core: Cells whose corner lies in it are taken from this tile.
        window: Holds the core, and the overlap on each side where the image goes on.
    """

    core: Rectangle
    window: Rectangle


def rows_of_tiles(size_hw: tuple[int, int], tile: int, overlap: int, stride: int) -> list[list[Tile]]:
    """Tiles row by row from the top, each row from the left.

    Args:
        size_hw: (height, width) of the image.
        tile: Longest side of a window; rounded down to the stride.
        overlap: Least distance between a core and its window's border inside the image; rounded up to the stride.
        stride: Pixels between cells of the coarsest level.

    Raises:
        InputError: A tile that has no room for a core.
    """
    rows, columns = (_spans(side, tile, overlap, stride) for side in size_hw)
    return [
        [
            Tile(
                Rectangle(row[0], column[0], row[1] - row[0], column[1] - column[0]),
                Rectangle(row[2], column[2], row[3] - row[2], column[3] - column[2]),
            )
            for column in columns
        ]
        for row in rows
    ]


def _spans(side: int, tile: int, overlap: int, stride: int) -> list[tuple[int, int, int, int]]:
    """Begin and end of each core on one axis, and of its window; the cores are about equally long."""
    overlap, longest = round_up(overlap, stride), tile // stride * stride
    if side <= longest:
        return [(0, side, 0, side)]
    core = longest - 2 * overlap
    if core < stride:
        raise InputError(
            f"tile is {tile} and overlap {overlap} pixels, but a tile must be at least "
            f"{2 * overlap + stride}: twice the overlap, and {stride} for a cell of the coarsest level.",
            arguments=("tile", "overlap"),
        )
    inner = side - 2 * overlap  # what the first and the last window see beyond an inner core is the image's border
    core = round_up(-(-inner // -(-inner // core)), stride)
    borders = [0, *range(overlap + core, overlap + inner, core), side]
    return [
        (begin, end, max(0, begin - overlap), side if end == side else min(side, end + overlap))
        for begin, end in pairwise(borders)
    ]


def round_up(value: int, multiple: int) -> int:
    """The least multiple that is not below ``value``."""
    return -(-value // multiple) * multiple
