"""Picture of one training image: ground truth and the sampled anchors of its mini-batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from objectness.boxes import Boxes
from objectness.drawing.pen import DARK, LIGHT, Colour, font_for, line_width, outline

# Apart for every kind of colour blindness, in lightness too.
GROUND_TRUTH: Colour = (255, 255, 255)
POSITIVE: Colour = (86, 214, 255)
NEGATIVE: Colour = (255, 124, 32)

_SHOWN = 48  # anchors of a kind: beyond it a photograph drowns


def draw_samples(
    image: NDArray[np.uint8], anchors_xyxy: Boxes, labels: NDArray[np.integer[Any]], boxes_xyxy: Boxes
) -> Image.Image:
    """Draw ground truth (white, thick), positive anchors (sky blue) and sampled negatives (orange, thin).

    Of more than 48 anchors of a kind an evenly spaced choice is drawn; the legend tells the full counts.

    Args:
        image: ``uint8 (H, W, 3)`` RGB; it is not changed.
        anchors_xyxy: ``(A, 4)`` in its pixels.
        labels: ``(A,)``: 1 a sampled positive, 0 a sampled negative, anything else is not drawn.
        boxes_xyxy: ``(N, 4)`` ground truth.

    Returns:
        A picture of the same size.
    """
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    width = line_width(picture)
    for label, colour in ((0, NEGATIVE), (1, POSITIVE)):
        chosen = _spread(np.flatnonzero(labels == label))
        for box_xyxy in anchors_xyxy[chosen].tolist():
            outline(draw, box_xyxy, colour, max(1, width - 1 + label), halo=label)
    for box_xyxy in boxes_xyxy.tolist():
        outline(draw, box_xyxy, GROUND_TRUTH, width + 1, halo=1)
    _legend(
        picture,
        [
            (f"ground truth {len(boxes_xyxy)}", GROUND_TRUTH),
            (f"positive {int(np.sum(labels == 1))}", POSITIVE),
            (f"negative {int(np.sum(labels == 0))}", NEGATIVE),
        ],
    )
    return picture


def _spread(indices: NDArray[np.intp]) -> NDArray[np.intp]:
    if len(indices) <= _SHOWN:
        return indices
    return indices[np.linspace(0, len(indices) - 1, _SHOWN).round().astype(np.intp)]


def _legend(picture: Image.Image, entries: list[tuple[str, Colour]]) -> None:
    """A dark strip in the bottom left corner, or nothing where the picture is too small for it."""
    draw = ImageDraw.Draw(picture)
    font = font_for(picture)
    pad = 2 * line_width(picture) + 2
    sizes = [draw.textbbox((0, 0), text, font=font) for text, _ in entries]
    high = max(int(size[3]) for size in sizes)
    wide = sum(int(size[2]) + high + 2 * pad for size in sizes) + pad
    top = picture.height - high - 2 * pad
    if wide > picture.width or top < picture.height / 2:
        return
    draw.rectangle((0, top, wide, picture.height), fill=DARK)
    x = pad
    for (text, colour), size in zip(entries, sizes, strict=True):
        draw.rectangle((x, top + pad + high // 4, x + high // 2, top + pad + 3 * high // 4), fill=colour)
        draw.text((x + high // 2 + pad, top + pad), text, fill=LIGHT, font=font)
        x += int(size[2]) + high + 2 * pad
