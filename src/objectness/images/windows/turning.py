"""Parts of an image in the order in which it is stored and upright, for each EXIF orientation."""

from __future__ import annotations

from objectness.images.upright import LYING
from objectness.images.windows.protocol import Rectangle

_MIRRORED_ROWS, _MIRRORED_COLUMNS = frozenset({3, 4, 7, 8}), frozenset({2, 3, 6, 7})
_UNDONE_BY = {6: 8, 8: 6}  # the others undo themselves


def stored_part(part: Rectangle, upright_hw: tuple[int, int], turned: int) -> Rectangle:
    """Where a part of the upright image is stored.

    Args:
        part: In upright pixels.
        upright_hw: (height, width) of the upright image.
        turned: The EXIF orientation, 1 to 8, in which it is stored.
    """
    y = upright_hw[0] - part.y - part.height if turned in _MIRRORED_ROWS else part.y
    x = upright_hw[1] - part.x - part.width if turned in _MIRRORED_COLUMNS else part.x
    if turned in LYING:
        return Rectangle(x, y, part.width, part.height)
    return Rectangle(y, x, part.height, part.width)


def upright_part(part: Rectangle, stored_hw: tuple[int, int], turned: int) -> Rectangle:
    """Where a stored part is in the upright image; undoes :func:`stored_part`."""
    return stored_part(part, stored_hw, _UNDONE_BY.get(turned, turned))
