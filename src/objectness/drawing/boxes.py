"""Proposals on their photograph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from objectness.boxes import Boxes
from objectness.drawing.pen import Colour, font_for, line_width, outline, readable_on

# Periwinkle, orchid, coral, orange, yellow: all bright enough for a dark photograph, and lightness rises
# along them, so that the order survives colour blindness and print.
_RAMP = np.array([[124, 120, 255], [208, 100, 226], [255, 110, 128], [255, 172, 64], [255, 238, 96]])

_LABELS = 5  # more words than this hide the photograph


def draw_boxes(
    image: NDArray[np.uint8],
    boxes_xyxy: Boxes,
    scores: NDArray[np.floating[Any]] | None = None,
    *,
    limit: int = 30,
) -> Image.Image:
    """Draw the best boxes, the best of them on top.

    The colour runs from periwinkle (the lowest score that is drawn) to yellow (the highest); the best five
    carry their score.

    Args:
        image: ``uint8 (H, W, 3)`` RGB; it is not changed.
        boxes_xyxy: ``(N, 4)`` in its pixels.
        scores: ``(N,)``; without them the first boxes count as the best and no score is written.
        limit: Draw at most this many.

    Returns:
        A picture of the same size.
    """
    picture = Image.fromarray(image)
    order = np.arange(len(boxes_xyxy)) if scores is None else np.argsort(-scores, kind="stable")
    order = order[: max(0, limit)]
    if not len(order):
        return picture
    draw = ImageDraw.Draw(picture)
    width = line_width(picture)
    colours = score_colours(len(order), None if scores is None else scores[order])
    for rank in reversed(range(len(order))):
        colour = colours[rank]
        outline(draw, boxes_xyxy[order[rank]].tolist(), colour, width + (rank < _LABELS), halo=1)
    if scores is not None:
        words = [f"{score:.2f}" for score in scores[order[:_LABELS]].tolist()]
        write_words(draw, picture, boxes_xyxy[order[:_LABELS]], words, colours)
    return picture


def score_colours(count: int, scores: NDArray[np.floating[Any]] | None) -> list[Colour]:
    """One colour a box, best first; equal scores are all the best."""
    if scores is None:
        place = np.linspace(1, 0, count) if count > 1 else np.ones(1)
    else:
        span = float(scores[0] - scores[-1])
        place = (scores - scores[-1]) / span if span > 0 else np.ones(count)
    stops = np.linspace(0, 1, len(_RAMP))
    channels = np.stack([np.interp(place, stops, _RAMP[:, channel]) for channel in range(3)], axis=1)
    return [(int(red), int(green), int(blue)) for red, green, blue in channels.round()]


def write_words(
    draw: ImageDraw.ImageDraw,
    picture: Image.Image,
    boxes_xyxy: Boxes,
    words: Sequence[str],
    colours: Sequence[Colour],
) -> None:
    """Write the words of each box above it, or inside where there is no room, or not at all over others."""
    font = font_for(picture)
    pad = line_width(picture)
    taken: list[tuple[float, float, float, float]] = []
    for (x1, y1, _, y2), text, colour in zip(boxes_xyxy.tolist(), words, colours, strict=False):
        left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
        wide, high = right - left + 2 * pad, bottom - top + 2 * pad
        if wide > picture.width or high > picture.height:
            continue
        x = min(max(0.0, float(int(x1))), picture.width - wide)
        for y in (int(y1) - high, int(y1), round(y2) - high):
            place = (x, float(y), x + wide, float(y + high))
            if y >= 0 and place[3] <= picture.height and not any(_overlap(place, other) for other in taken):
                taken.append(place)
                draw.rectangle((place[0], place[1], place[2] - 1, place[3] - 1), fill=colour)
                draw.text((x + pad - left, y + pad - top), text, fill=readable_on(colour), font=font)
                break


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
