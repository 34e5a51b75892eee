"""An image of any size at another size, in windows: the pixels of the whole image resized by Pillow, bit by bit.

Pillow resizes in width and in height one after the other, with whole numbers (``Resample.c``). Here it resizes bands of
the image in width, and rows are added up in the same way, so that no band must hold the whole image.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objectness.images.windows.protocol import Rectangle, Window, WindowReader

_READ_BYTES = 1 << 23  # of rows that are asked for at once
_PRECISION_BITS = 22  # of Pillow's weights


class ScaledReader:
    """A reader's image resized to (height, width), bilinear, antialiased when shrinking; see ``WindowReader``.

    Windows are quick from top to bottom. Memory: as many resized rows as the highest window has, and the rows of the
    reader that one resized row is made of.

    Args:
        reader: Of the image; it is closed with this one.
        size_hw: (height, width) of the resized image.
    """

    in_order = True

    def __init__(self, reader: WindowReader, size_hw: tuple[int, int]) -> None:
        self.size_hw = size_hw
        self._reader = reader
        self._scale = reader.size_hw[0] / size_hw[0]
        self._support = max(self._scale, 1.0)
        (height, width), (new_height, new_width) = reader.size_hw, size_hw
        # Pillow 13 begins with the height where that saves it work (its pull request 9549); before it never did.
        self._height_first = height > new_height and height - new_height > 2 * (width - new_width)
        self._band_top = 0
        self._band = np.empty((0, size_hw[1], 3), dtype=np.uint8)
        self._rows_top = 0
        self._rows = np.empty((0, width if self._height_first else new_width, 3), dtype=np.uint8)  # of the reader
        self._missing: dict[Rectangle, str] = {}  # in pixels of the resized image

    @property
    def name(self) -> str:
        """Name of the image, for messages."""
        return self._reader.name

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences for the user about the way the image is read."""
        remarks: tuple[str, ...] = getattr(self._reader, "remarks", ())
        return remarks

    def window(self, part: Rectangle) -> Window:
        """The pixels of a part of the resized image, and what of it is missing: no less than that."""
        if self._reader.size_hw == self.size_hw:
            return self._reader.window(part)
        end = self._band_top + len(self._band)
        if not self._band_top <= part.y <= end:
            self._band, self._band_top, end = self._band[:0], part.y, part.y
        below = part.y + part.height
        if below > end:
            kept = self._band[part.y - self._band_top :]
            band = np.empty((part.height, self.size_hw[1], 3), dtype=np.uint8)
            band[: len(kept)] = kept
            for row in range(end, below):
                band[row - part.y] = self._row(row)
            self._band, self._band_top = band, part.y
        first = min(self._band_top, self._touched(self._rows_top, 1, 0)[0])  # row of which something is still held
        self._missing = {box: why for box, why in self._missing.items() if box.y + box.height > first}
        shown = self._band[part.y - self._band_top :, part.x : part.x + part.width][: part.height].copy()
        missing = {box: why for box, why in self._missing.items() if _meet(box, part)}
        return Window(shown, tuple(missing), next(iter(missing.values()), ""))

    def close(self) -> None:
        """Close the reader and give the memory back."""
        self._band = self._band[:0].copy()
        self._rows = self._rows[:0].copy()
        self._reader.close()

    def _row(self, y: int) -> NDArray[np.uint8]:
        """A row ``uint8 (width, 3)`` of the resized image."""
        begin, weights = self._weights(y)
        rows = self._source_rows(begin, begin + len(weights))
        row = rows[0] if len(weights) == 1 else _added_up(rows, weights)
        return self._resized_in_width(row[None])[0] if self._height_first else row

    def _weights(self, y: int) -> tuple[int, NDArray[np.float64]]:
        """The first row of the reader that a row is made of, and the whole weights of it and of those that follow."""
        height = self._reader.size_hw[0]
        if height == self.size_hw[0]:
            return y, np.ones(1)
        center = (y + 0.5) * self._scale
        begin = max(0, int(center - self._support + 0.5))
        end = min(height, int(center + self._support + 0.5))
        distance = np.abs((np.arange(end - begin) + begin - center + 0.5) * (1.0 / self._support))
        weights = np.maximum(1.0 - distance, 0.0)
        total = 0.0
        for weight in weights.tolist():  # in Pillow's order
            total += weight
        return begin, np.floor(0.5 + weights / total * (1 << _PRECISION_BITS))

    def _source_rows(self, begin: int, end: int) -> NDArray[np.uint8]:
        """Rows of the reader, resized in width unless the height comes first."""
        there = self._rows_top + len(self._rows)
        if not self._rows_top <= begin <= there:
            self._rows, self._rows_top, there = self._rows[:0], begin, begin
        if end > there:
            height, width = self._reader.size_hw
            at_once = max(1, _READ_BYTES // (3 * width))
            pieces = [self._rows[begin - self._rows_top :]]
            while there < end:
                part = Rectangle(there, 0, min(at_once, height - there), width)
                window = self._reader.window(part)
                self._note_missing(window)
                pieces.append(window.pixels if self._height_first else self._resized_in_width(window.pixels))
                there += part.height
            self._rows, self._rows_top = np.concatenate(pieces), begin
        return self._rows[begin - self._rows_top : end - self._rows_top]

    def _resized_in_width(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if pixels.shape[1] == self.size_hw[1]:
            return pixels
        size = self.size_hw[1], pixels.shape[0]
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))

    def _note_missing(self, window: Window) -> None:
        for box in window.missing:
            y, height = self._touched(box.y, box.height, 0)
            x, width = self._touched(box.x, box.width, 1)
            self._missing.setdefault(Rectangle(y, x, height, width), window.reason)

    def _touched(self, at: int, length: int, axis: int) -> tuple[int, int]:
        """First and number of resized rows or columns to which a stretch of the reader's contributes."""
        scale = self._reader.size_hw[axis] / self.size_hw[axis]
        support = max(scale, 1.0)
        first = max(0, math.floor((at - support) / scale - 0.5))
        end = min(self.size_hw[axis], math.ceil((at + length + support) / scale + 0.5))
        return first, max(0, end - first)


def _added_up(rows: NDArray[np.uint8], weights: NDArray[np.float64]) -> NDArray[np.uint8]:
    """One row ``(width, 3)`` of several ``(n, width, 3)``, by whole weights ``(n,)`` that are exact below 2 ** 53."""
    total = weights @ rows.reshape(len(weights), -1).astype(np.float64)
    rounded = (total + (1 << _PRECISION_BITS - 1)).astype(np.int64) >> _PRECISION_BITS
    row: NDArray[np.uint8] = np.minimum(rounded, 255).astype(np.uint8).reshape(-1, 3)
    return row


def _meet(one: Rectangle, other: Rectangle) -> bool:
    """Whether two rectangles have a pixel in common."""
    rows = one.y < other.y + other.height and other.y < one.y + one.height
    return rows and one.x < other.x + other.width and other.x < one.x + one.width
