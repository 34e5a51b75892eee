"""A window of a file of which a part cannot be decoded: read tile by tile, so that the others are served."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from objectness.images.windows.protocol import MISSING_GREY, Rectangle, Window


def read_piecewise(
    part: Rectangle,
    image_hw: tuple[int, int],
    tile_hw: tuple[int, int],
    read: Callable[[Rectangle], NDArray[np.uint8] | str],
) -> Window:
    """A window, of which each tile is read by itself; tiles are ``missing`` whole, alike in all windows that meet them.

    Args:
        part: The window, in pixels of the whole image.
        image_hw: (height, width) of the image.
        tile_hw: (height, width) of the tiles in which the file stores the image, from its upper left corner on.
        read: Gives the pixels of what a window has of a tile, or the reason why these cannot be decoded.
    """
    pixels = np.full((part.height, part.width, 3), MISSING_GREY, np.uint8)
    missing: list[Rectangle] = []
    reason = ""
    for tile in _tiles(part, image_hw, tile_hw):
        piece = _common(tile, part)
        found = read(piece)
        if isinstance(found, str):
            missing.append(tile)
            reason = reason or found
        else:
            y, x = piece.y - part.y, piece.x - part.x
            pixels[y : y + piece.height, x : x + piece.width] = found
    return Window(pixels, tuple(missing), reason)


def _tiles(part: Rectangle, image_hw: tuple[int, int], tile_hw: tuple[int, int]) -> Iterator[Rectangle]:
    """The tiles that a part meets, cut at the image's border."""
    height, width = tile_hw
    for y in range(part.y - part.y % height, part.y + part.height, height):
        for x in range(part.x - part.x % width, part.x + part.width, width):
            yield Rectangle(y, x, min(height, image_hw[0] - y), min(width, image_hw[1] - x))


def _common(one: Rectangle, other: Rectangle) -> Rectangle:
    """What two rectangles that meet have in common."""
    y, x = max(one.y, other.y), max(one.x, other.x)
    below, right = min(one.y + one.height, other.y + other.height), min(one.x + one.width, other.x + other.width)
    return Rectangle(y, x, below - y, right - x)
