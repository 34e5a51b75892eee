"""Boxes of a data set as points of width and height, with the anchors that are to fit them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from objectness.drawing.pen import Colour, font_of_size

Floats = NDArray[np.floating[Any]]

PAPER: Colour = (250, 250, 252)
INK: Colour = (40, 40, 46)
GRID: Colour = (222, 222, 228)
FITTING: Colour = (120, 160, 200)
MISSED: Colour = (226, 88, 60)
PRESENT: Colour = (24, 24, 28)
SUGGESTED: Colour = (0, 140, 90)

_SIDE, _LEFT, _TOP, _RIGHT, _BOTTOM = 560, 64, 84, 24, 56
_LEAST, _MOST = 2.0, 2048.0
_ARM = 7


def draw_shapes(
    boxes_wh: Floats, missed: NDArray[np.bool_], present_wh: Floats, suggested_wh: Floats | None = None
) -> Image.Image:
    """Widths and heights on logarithmic axes: boxes as points, anchors as crosses, suggested ones as rings.

    Args:
        boxes_wh: ``(N, 2)`` in the pixels that the network sees.
        missed: ``(N,)`` boxes out of the anchors' reach: drawn in red.
        present_wh: ``(A, 2)`` anchors.
        suggested_wh: ``(K, 2)``.

    Returns:
        A picture of 648 x 700 pixels.
    """
    picture = Image.new("RGB", (_LEFT + _SIDE + _RIGHT, _TOP + _SIDE + _BOTTOM), PAPER)
    draw = ImageDraw.Draw(picture)
    everything = [boxes_wh, present_wh, *([] if suggested_wh is None else [suggested_wh])]
    sides = np.concatenate([shapes.ravel() for shapes in everything]) if everything else np.zeros(0)
    sides = np.clip(sides, _LEAST, _MOST)
    low, high = (math.log2(float(sides.min())), math.log2(float(sides.max()))) if sides.size else (3.0, 9.0)
    low, high = math.floor(low), max(math.ceil(high), math.floor(low) + 1)

    def place(shape_wh: Floats) -> tuple[float, float]:
        x, y = ((math.log2(min(max(float(side), _LEAST), _MOST)) - low) / (high - low) for side in shape_wh)
        return _LEFT + x * _SIDE, _TOP + (1 - y) * _SIDE

    _axes(draw, low, high)
    for shape_wh, out in zip(boxes_wh, missed, strict=True):
        x, y = place(shape_wh)
        draw.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), fill=MISSED if out else FITTING)
    for shape_wh in present_wh:
        x, y = place(shape_wh)
        draw.line((x - _ARM, y, x + _ARM, y), fill=PRESENT, width=3)
        draw.line((x, y - _ARM, x, y + _ARM), fill=PRESENT, width=3)
    for shape_wh in suggested_wh if suggested_wh is not None else ():
        x, y = place(shape_wh)
        draw.ellipse((x - _ARM, y - _ARM, x + _ARM, y + _ARM), outline=SUGGESTED, width=3)
    _legend(draw, int(missed.sum()), suggested_wh is not None)
    return picture


def _axes(draw: ImageDraw.ImageDraw, low: int, high: int) -> None:
    font = font_of_size(13)
    for power in range(low, high + 1):
        at = (power - low) / (high - low) * _SIDE
        draw.line((_LEFT + at, _TOP, _LEFT + at, _TOP + _SIDE), fill=GRID)
        draw.line((_LEFT, _TOP + _SIDE - at, _LEFT + _SIDE, _TOP + _SIDE - at), fill=GRID)
        draw.text((_LEFT + at, _TOP + _SIDE + 8), str(2**power), fill=INK, font=font, anchor="ma")
        draw.text((_LEFT - 8, _TOP + _SIDE - at), str(2**power), fill=INK, font=font, anchor="rm")
    draw.text(
        (_LEFT + _SIDE / 2, _TOP + _SIDE + 30), "width, px as the network sees it", fill=INK, font=font, anchor="ma"
    )
    draw.text((8, _TOP - 10), "height, px", fill=INK, font=font, anchor="ls")


def _legend(draw: ImageDraw.ImageDraw, missed: int, suggested: bool) -> None:
    font = font_of_size(13)
    entries = [("box", FITTING), (f"box out of reach ({missed})", MISSED), ("+ anchor", PRESENT)]
    entries += [("o suggested anchor", SUGGESTED)] if suggested else []
    x: float = _LEFT
    for text, colour in entries:
        draw.text((x, 24), text, fill=colour, font=font)
        x += draw.textlength(text, font=font) + 24
