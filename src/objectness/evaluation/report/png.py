"""A chart as a PNG, drawn with Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from PIL import Image, ImageColor, ImageDraw, ImageFont

from objectness.drawing.pen import writable
from objectness.evaluation.curves import Chart
from objectness.evaluation.report.axes import DASHES, FAINT, RADIUS, Area, Axes, Dot, Point, Stroke, Text, marks

_SCALE = 3  # drawn three times as large, then shrunk by half: smooth lines, and sharp on a dense screen
_PAPER, _INK, _GRID = (255, 255, 255), (40, 44, 52), (226, 229, 233)
_ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}


def to_png(chart: Chart) -> Image.Image:
    """The chart with its legend below, RGB."""
    axes = Axes(chart)
    picture = Image.new("RGB", (round(_SCALE * axes.width), round(_SCALE * axes.paper_height)), _PAPER)
    for mark in marks(axes):
        draw = ImageDraw.Draw(picture)
        match mark:
            case Text():
                _write(picture, draw, mark)
            case Stroke(colour=None):
                draw.line(_scaled(mark.points), fill=_GRID, width=_SCALE)
            case Stroke(colour=str(colour)):
                ink, points = ImageColor.getrgb(colour), _scaled(mark.points)
                pieces = _dashes(points, *(_SCALE * length for length in DASHES)) if mark.dashed else [points]
                for piece in pieces:
                    draw.line(piece, fill=ink, width=2 * _SCALE, joint="curve")
            case Area():
                mask = Image.new("L", picture.size, 0)
                ImageDraw.Draw(mask).polygon(_scaled(mark.points), fill=round(255 * FAINT))
                picture.paste(ImageColor.getrgb(mark.colour), (0, 0, *picture.size), mask)
            case Dot():
                draw.circle((_SCALE * mark.x, _SCALE * mark.y), _SCALE * RADIUS, fill=ImageColor.getrgb(mark.colour))
    return picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)


def _scaled(points: Sequence[Point]) -> list[Point]:
    return [(_SCALE * x, _SCALE * y) for x, y in points]


def _write(picture: Image.Image, draw: ImageDraw.ImageDraw, text: Text) -> None:
    words, font = writable(text.words), ImageFont.load_default((15 if text.is_title else 12) * _SCALE)
    if not text.upwards:
        draw.text((_SCALE * text.x, _SCALE * text.y), words, fill=_INK, font=font, anchor=_ANCHORS[text.anchor])
        return
    left, top, right, bottom = font.getbbox(words, anchor="ls")
    strip = Image.new("RGB", (round(right - left) + 2, round(bottom - top) + 2), _PAPER)
    ImageDraw.Draw(strip).text((-left, -top), words, fill=_INK, font=font, anchor="ls")
    turned = strip.transpose(Image.Transpose.ROTATE_90)
    picture.paste(turned, (round(_SCALE * text.x + top), round(_SCALE * text.y - turned.height / 2)))


def _dashes(points: Sequence[Point], on: float, off: float) -> list[list[Point]]:
    """Pieces of a polyline of length ``on``, ``off`` apart, counted along it."""
    pieces: list[list[Point]] = []
    walked = 0.0
    for (x1, y1), (x2, y2) in pairwise(points):
        length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
        at = 0.0
        while at < length - 1e-9:
            phase = walked % (on + off)
            drawn = phase < on - 1e-9
            step = min(length - at, (on if drawn else on + off) - phase)
            if drawn:
                a, b = at / length, (at + step) / length
                pieces.append([(x1 + (x2 - x1) * a, y1 + (y2 - y1) * a), (x1 + (x2 - x1) * b, y1 + (y2 - y1) * b)])
            at, walked = at + step, walked + step
    return pieces
