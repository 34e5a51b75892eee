"""The pen: outlines and words that stay legible on any photograph."""

from __future__ import annotations

import unicodedata
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


def writable(text: str) -> str:
    """Text in letters that Pillow's own font has: it draws a box for every other, as in a file's name."""
    return "".join(letter if letter.isascii() or _has(letter) else _plain(letter) for letter in text)


def _plain(letter: str) -> str:
    known = {"\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", "\N{MULTIPLICATION SIGN}": "x"}
    known |= {"\N{GREATER-THAN OR EQUAL TO}": ">=", "\N{LESS-THAN OR EQUAL TO}": "<="}
    base = unicodedata.normalize("NFKD", letter)
    return known.get(letter) or "".join(part for part in base if part.isascii()) or "?"


@lru_cache(maxsize=1024)
def _has(letter: str) -> bool:
    font = font_of_size(12)
    return bytes(font.getmask(letter)) != bytes(font.getmask("\uffff"))


def readable_on(colour: Colour) -> Colour:
    """Dark or light words, whichever stands out on ``colour``."""
    red, green, blue = colour
    return DARK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else LIGHT


@lru_cache
def font_of_size(size: int) -> Font:
    """Pillow's own font, ``size`` pixels high."""
    return ImageFont.load_default(size)
