"""A window of a file of which a part cannot be decoded: read tile by tile, so that the others are served."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from objectness.images.windows.protocol import MISSING_GREY, Rectangle, Window


def read_piecewise(
    part: Rectangle, tile_hw: tuple[int, int], read: Callable[[Rectangle], NDArray[np.uint8] | str]
) -> Window:
    """A window, of which each tile is read by itself.

    Args:
        part: The window, in pixels of the whole image.
        tile_hw: (height, width) of the tiles in which the file stores the image, from its upper left corner on.
        read: Gives the pixels of what a window has of a tile, or the reason why these cannot be decoded.
    """
    pixels = np.full((part.height, part.width, 3), MISSING_GREY, np.uint8)
    missing: list[Rectangle] = []
    reason = ""
    for piece in _pieces(part, tile_hw):
        found = read(piece)
        if isinstance(found, str):
            missing.append(piece)
            reason = reason or found
        else:
            y, x = piece.y - part.y, piece.x - part.x
            pixels[y : y + piece.height, x : x + piece.width] = found
    return Window(pixels, tuple(missing), reason)


def _pieces(part: Rectangle, tile_hw: tuple[int, int]) -> Iterator[Rectangle]:
    """What a part has of each tile."""
    height, width = tile_hw
    for top in range(part.y - part.y % height, part.y + part.height, height):
        y, below = max(top, part.y), min(top + height, part.y + part.height)
        for left in range(part.x - part.x % width, part.x + part.width, width):
            x, right = max(left, part.x), min(left + width, part.x + part.width)
            yield Rectangle(y, x, below - y, right - x)
