"""A huge image shrunk to a picture, strip by strip: the whole of it is never in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objectness.images.windows.protocol import Rectangle, WindowReader

_STRIP_BYTES = 8 << 20


@dataclass(frozen=True, eq=False)
class Shrunk:
    """An image at the size of a picture.

    Attributes:
        pixels: ``uint8 (h, w, 3)`` RGB: each the mean of the pixels whose centres it covers.
        size_hw: (height, width) of the image itself.
        missing: The parts that could not be decoded, in pixels of the image itself.
    """

    pixels: NDArray[np.uint8]
    size_hw: tuple[int, int]
    missing: tuple[Rectangle, ...]

    @property
    def ratio_yx(self) -> tuple[float, float]:
        """Pixels of the picture for one of the image, down and across."""
        return self.pixels.shape[0] / self.size_hw[0], self.pixels.shape[1] / self.size_hw[1]


def shrink(reader: WindowReader, longest: int) -> Shrunk:
    """Read an image once from top to bottom, and shrink it until its longer side is at most ``longest`` pixels.

    Raises:
        InputError: Nothing of the image can be read any more.
    """
    height, width = reader.size_hw
    factor = max(1.0, max(height, width) / longest)
    small_hw = max(1, round(height / factor)), max(1, round(width / factor))
    pixels = np.empty((*small_hw, 3), np.uint8)
    missing: list[Rectangle] = []
    for rows in _strips(small_hw[0], height, width):
        top, bottom = rows.start * height / small_hw[0], rows.stop * height / small_hw[0]
        first = int(top)
        strip = Rectangle(first, 0, min(height, int(np.ceil(bottom))) - first, width)
        window = reader.window(strip)
        missing += window.missing
        inner = (0, top - first, width, min(bottom - first, strip.height))
        shape_wh = (small_hw[1], rows.stop - rows.start)
        shrunk = Image.fromarray(window.pixels).resize(shape_wh, Image.Resampling.BOX, box=inner)
        pixels[rows] = np.asarray(shrunk)
    return Shrunk(pixels, (height, width), tuple(dict.fromkeys(missing)))


def _strips(small_height: int, height: int, width: int) -> Iterator[slice]:
    """Rows of the picture that are made from one strip of the image."""
    rows_of_image = max(1, _STRIP_BYTES // (3 * width))
    step = max(1, rows_of_image * small_height // height)
    for start in range(0, small_height, step):
        yield slice(start, min(small_height, start + step))
