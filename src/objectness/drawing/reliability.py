"""Reliability diagram: the share of right proposals against their score."""

from __future__ import annotations

from PIL import Image, ImageDraw

from objectness.calibration import Reliability
from objectness.drawing.pen import Colour, font_of_size, writable

_PAPER: Colour = (255, 255, 255)
_INK: Colour = (40, 40, 46)
_GRID: Colour = (224, 224, 230)
_BEFORE: Colour = (214, 92, 32)
_AFTER: Colour = (32, 110, 190)
_SIDE = 480
_MARGIN = 64
_TICKS = 5


def draw_reliability(before: Reliability, after: Reliability, title: str) -> Image.Image:
    """Two lines over the diagonal, before and after calibration; a dot's area goes by its share of the proposals.

    Args:
        before: Of the raw scores.
        after: Of the calibrated ones.
        title: Written above.

    Returns:
        A picture of 608 x 652 pixels.
    """
    picture = Image.new("RGB", (_SIDE + 2 * _MARGIN, _SIDE + 2 * _MARGIN + 44), _PAPER)
    draw = ImageDraw.Draw(picture)
    font = font_of_size(15)
    for tick in range(_TICKS + 1):
        value = tick / _TICKS
        draw.line([_place(value, 0), _place(value, 1)], fill=_GRID)
        draw.line([_place(0, value), _place(1, value)], fill=_GRID)
        x, y = _place(value, 0)
        draw.text((x, y + 8), f"{value:.1f}", fill=_INK, font=font, anchor="ma")
        x, y = _place(0, value)
        draw.text((x - 8, y), f"{value:.1f}", fill=_INK, font=font, anchor="rm")
    draw.line([_place(0, 0), _place(1, 1)], fill=_INK, width=1)
    draw.text((_MARGIN + _SIDE / 2, _MARGIN + _SIDE + 34), "score", fill=_INK, font=font, anchor="ma")
    draw.text((12, 40), "share of proposals that overlap an object (IoU >= 0.5)", fill=_INK, font=font)
    draw.text((12, 14), writable(title), fill=_INK, font=font_of_size(18))
    for number, (name, colour, found) in enumerate((("before", _BEFORE, before), ("after", _AFTER, after))):
        _line(draw, found, colour)
        y = _MARGIN + _SIDE + 60 + 20 * number
        draw.rectangle((_MARGIN, y + 3, _MARGIN + 14, y + 15), fill=colour)
        draw.text((_MARGIN + 22, y), f"{name}: mean distance {found.error:.3f}", fill=_INK, font=font)
    return picture


def _line(draw: ImageDraw.ImageDraw, found: Reliability, colour: Colour) -> None:
    points = [_place(score, hit) for score, hit in zip(found.scores, found.hits, strict=True)]
    if len(points) > 1:
        draw.line(points, fill=colour, width=2, joint="curve")
    whole = sum(found.counts)
    for (x, y), count in zip(points, found.counts, strict=True):
        radius = 3 + 12 * (count / whole) ** 0.5
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=2)


def _place(score: float, share: float) -> tuple[float, float]:
    return _MARGIN + score * _SIDE, _MARGIN + (1 - share) * _SIDE
