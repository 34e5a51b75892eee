"""Parts of an image whose file stores it turned or mirrored: where they lie in the file, and back."""

from __future__ import annotations

from objectness.images.upright import LYING
from objectness.images.windows.protocol import Rectangle

_BACK = {6: 8, 8: 6}  # the other orientations undo themselves


def stored_part(part: Rectangle, size_hw: tuple[int, int], turned: int) -> Rectangle:
    """Where a part of an upright image lies in its file.

    Args:
        part: In upright pixels.
        size_hw: (height, width) of the upright image.
        turned: The EXIF orientation, 1 to 8, in which the file stores it.
    """
    y, x, height, width = part
    below, right = size_hw[0] - y - height, size_hw[1] - x - width
    match turned:
        case 2:
            y, x = y, right
        case 3:
            y, x = below, right
        case 4:
            y, x = below, x
        case 5:
            y, x = x, y
        case 6:
            y, x = right, y
        case 7:
            y, x = right, below
        case 8:
            y, x = x, below
    return Rectangle(y, x, width, height) if turned in LYING else Rectangle(y, x, height, width)


def upright_part(part: Rectangle, stored_hw: tuple[int, int], turned: int) -> Rectangle:
    """Where a part of the stored pixels lies in the upright image: :func:`stored_part` backwards."""
    return stored_part(part, stored_hw, _BACK.get(turned, turned))
