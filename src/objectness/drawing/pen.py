"""The pen: outlines and words that stay legible on any photograph."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

DARK: Colour = (24, 24, 28)
LIGHT: Colour = (255, 255, 255)


def line_width(image: Image.Image) -> int:
    """Pixels that a normal line is wide: 2 on a 640 pixel photograph, more on larger ones."""
    return max(1, round(max(image.size) / 320))


def font_for(image: Image.Image) -> Font:
    """A font that is as easy to read on a large photograph as on a small one."""
    return font_of_size(max(10, round(max(image.size) / 45)))


def outline(draw: ImageDraw.ImageDraw, box_xyxy: Sequence[float], colour: Colour, width: int, halo: int) -> None:
    """Draw the frame of a box; a dark edge of ``halo`` pixels parts it from a photograph of its colour.

    The box's right and bottom are exclusive; a box thinner than a pixel is drawn one pixel thin.
    """
    left, top = int(box_xyxy[0]), int(box_xyxy[1])
    right, bottom = max(left, round(box_xyxy[2]) - 1), max(top, round(box_xyxy[3]) - 1)
    if halo:
        edge = (left - halo, top - halo, right + halo, bottom + halo)
        draw.rectangle(edge, outline=DARK, width=width + 2 * halo)
    draw.rectangle((left, top, right, bottom), outline=colour, width=width)


def readable_on(colour: Colour) -> Colour:
    """Dark or light words, whichever stands out on ``colour``."""
    red, green, blue = colour
    return DARK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else LIGHT


@lru_cache
def font_of_size(size: int) -> Font:
    """Pillow's own font, ``size`` pixels high."""
    return ImageFont.load_default(size)
