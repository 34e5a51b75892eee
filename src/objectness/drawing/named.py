"""Detections on their photograph: a colour for each class, and its name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from objectness.detections import Detections
from objectness.drawing.boxes import write_words
from objectness.drawing.pen import Colour, line_width, outline, writable

# Okabe and Ito, "Color Universal Design": told apart with every kind of colour blindness. Black is left out (the edge
# of a box is dark), grey stands in its place.
PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (200, 200, 200),
)


def draw_detections(image: NDArray[np.uint8], found: Detections, *, limit: int = 100) -> Image.Image:
    """Draw the best boxes, the best of them on top, each with its class and score where there is room.

    A class has the same colour in every photograph; with more than eight, several share one, and the name tells.

    Args:
        image: ``uint8 (H, W, 3)`` RGB; it is not changed.
        found: In its pixels.
        limit: Draw at most this many.

    Returns:
        A picture of the same size.
    """
    picture = Image.fromarray(image)
    best = found.top(max(0, limit))
    if not len(best):
        return picture
    draw = ImageDraw.Draw(picture)
    width = line_width(picture)
    colours = [PALETTE[label % len(PALETTE)] for label in best.labels.tolist()]
    for box, colour in reversed(list(zip(best.boxes_xyxy.tolist(), colours, strict=True))):
        outline(draw, box, colour, width, halo=1)
    words = [writable(f"{name} {score:.2f}") for name, score in zip(best.names, best.scores.tolist(), strict=True)]
    write_words(draw, picture, best.boxes_xyxy, words, colours)
    return picture
