"""Details of a huge image: parts at full resolution with their boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from objectness.boxes import Boxes, iof
from objectness.drawing.boxes import draw_boxes
from objectness.errors import InputError
from objectness.images.windows.protocol import Rectangle, WindowReader

DETAIL_SIDE = 1000
MOST_DETAIL_PIXELS = 25_000_000


def choose_details(
    size_hw: tuple[int, int], boxes_xyxy: Boxes, scores: NDArray[np.float32], count: int, side: int = DETAIL_SIDE
) -> tuple[Rectangle, ...]:
    """The parts of an image in which most is found, the best first; none overlaps another.

    A part's worth is the sum of the squared scores of the boxes that have their centres in it.

    Args:
        size_hw: (height, width) of the image.
        boxes_xyxy: ``(N, 4)`` in its pixels.
        scores: ``(N,)``.
        count: Parts wanted; there are fewer where no further part holds a box.
        side: Of a part in pixels; less where the image is smaller.
    """
    height, width = size_hw
    part_h, part_w = min(side, height), min(side, width)
    step_y, step_x = max(1, part_h // 2), max(1, part_w // 2)
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    rows = np.minimum(centres[:, 1] // step_y, -(-height // step_y) - 1).astype(np.intp)
    columns = np.minimum(centres[:, 0] // step_x, -(-width // step_x) - 1).astype(np.intp)
    cells = np.zeros((-(-height // step_y) + 1, -(-width // step_x) + 1))
    np.add.at(cells, (rows, columns), np.square(scores, dtype=np.float64))
    worth = cells[:-1, :-1] + cells[1:, :-1] + cells[:-1, 1:] + cells[1:, 1:]  # of two by two cells
    chosen: list[Rectangle] = []
    while len(chosen) < count and worth.max(initial=0) > 0:
        row, column = (int(place) for place in np.unravel_index(np.argmax(worth), worth.shape))
        y, x = min(row * step_y, height - part_h), min(column * step_x, width - part_w)
        if not any(abs(y - other.y) < part_h and abs(x - other.x) < part_w for other in chosen):
            chosen.append(Rectangle(y, x, part_h, part_w))
        worth[row, column] = 0
    return tuple(chosen)


def require_inside(part: Rectangle, size_hw: tuple[int, int], name: str) -> Rectangle:
    """A part cut at the border of the image.

    Raises:
        InputError: It lies outside, or has more than ``MOST_DETAIL_PIXELS`` pixels.
    """
    height, width = size_hw
    y2, x2 = min(part.y + part.height, height), min(part.x + part.width, width)
    inside = Rectangle(part.y, part.x, y2 - part.y, x2 - part.x)
    if min(inside) < 0 or inside.height < 1 or inside.width < 1:
        raise InputError(
            f"{name}: the detail of {part.width} x {part.height} pixels at x {part.x}, y {part.y} lies outside of the "
            f"image, which has {width} x {height}."
        )
    if inside.height * inside.width > MOST_DETAIL_PIXELS:
        raise InputError(
            f"{name}: a detail of {inside.width} x {inside.height} pixels is too large a picture; name one of up to "
            f"{MOST_DETAIL_PIXELS:,} pixels."
        )
    return inside


def draw_detail(
    reader: WindowReader, part: Rectangle, boxes_xyxy: Boxes, scores: NDArray[np.float32], *, limit: int
) -> Image.Image:
    """One part as it is, with the best of the boxes that lie in it by half or more.

    Args:
        reader: The image.
        part: Inside of it.
        boxes_xyxy: ``(N, 4)`` in pixels of the image.
        scores: ``(N,)``.
        limit: Boxes drawn, at most.
    """
    corner = np.array([part.x, part.y, part.x, part.y], np.float32)
    frame = np.array([[part.x, part.y, part.x + part.width, part.y + part.height]], np.float32)
    is_in = iof(boxes_xyxy, frame).max(axis=1, initial=0) >= 0.5
    pixels = reader.window(part).pixels
    return draw_boxes(pixels, boxes_xyxy[is_in] - corner, scores[is_in], limit=limit)
