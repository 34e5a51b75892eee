"""Windows of an image that is held in memory whole: what fits, arrays, and formats that cannot be read in parts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from objectness.images.opening import open_upright
from objectness.images.windows.header import Header
from objectness.images.windows.protocol import Rectangle, Window


class WholeReader:
    """An image decoded by :func:`objectness.images.open_upright`, three bytes a pixel; see ``WindowReader``.

    Args:
        pixels: ``uint8 (H, W, 3)`` RGB, upright; not copied.
        name: For messages.
        remarks: Sentences for the user about the way it is read.
    """

    in_order = False

    def __init__(self, pixels: NDArray[np.uint8], name: str, remarks: tuple[str, ...] = ()) -> None:
        self.name = name
        self.remarks = remarks
        self._pixels = pixels

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) of the upright image."""
        return self._pixels.shape[0], self._pixels.shape[1]

    def window(self, part: Rectangle) -> Window:
        """A copy of the part."""
        return Window(self._pixels[part.y : part.y + part.height, part.x : part.x + part.width].copy())

    def close(self) -> None:
        """Give the memory back."""
        self._pixels = self._pixels[:0, :0].copy()


def open_whole(header: Header, max_pixels: int | None, remarks: tuple[str, ...] = ()) -> WholeReader:
    """Decode all of an image.

    Raises:
        InputError: See :func:`objectness.images.open_upright`.
    """
    return WholeReader(open_upright(header.source, max_pixels=max_pixels), header.name, remarks)
