"""A chart as a PNG, drawn with Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from PIL import Image, ImageColor, ImageDraw, ImageFont

from objectness.drawing.pen import writable
from objectness.evaluation.curves import Chart, Line
from objectness.evaluation.report.axes import Axes, colour

_SCALE = 3  # drawn three times as large, then shrunk by half: smooth lines, and sharp on a dense screen
_PAPER, _INK, _GRID = (255, 255, 255), (40, 44, 52), (226, 229, 233)
_LINE_HEIGHT = 18

Point = tuple[float, float]


def to_png(chart: Chart) -> Image.Image:
    """The chart with its legend below, RGB."""
    plain = Axes(chart)
    axes = Axes(chart, *(_SCALE * side for side in _sides(plain)))
    height = plain.height + _LINE_HEIGHT * len(chart.lines) + 8
    picture = Image.new("RGB", (round(axes.width), round(_SCALE * height)), _PAPER)
    draw = ImageDraw.Draw(picture)
    bottom, right = axes.height - axes.bottom, axes.width - axes.right
    for value, words in axes.y_ticks():
        y = axes.y(value)
        draw.line([(axes.left, y), (right, y)], fill=_GRID, width=_SCALE)
        _write(draw, (axes.left - 8 * _SCALE, y), words, "rm")
    for value, words in axes.x_ticks():
        x = axes.x(value)
        draw.line([(x, axes.top), (x, bottom)], fill=_GRID, width=_SCALE)
        _write(draw, (x, bottom + 6 * _SCALE), words, "mt")
    _write(draw, (axes.left, 10 * _SCALE), chart.title, "lt", 15)
    _write(draw, ((axes.left + right) / 2, bottom + 30 * _SCALE), chart.x_label, "mt")
    _write_upwards(picture, (axes.top + bottom) / 2, chart.y_label)
    for line in chart.lines:
        if line.low:
            _band(picture, axes, line)
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(chart.lines):
        points = [(axes.x(x), axes.y(y)) for x, y in zip(line.x, line.y, strict=True)]
        _stroke(draw, points, line)
        y = axes.height + (_LINE_HEIGHT * number + 4) * _SCALE
        _stroke(draw, [(axes.left, y), (axes.left + 22 * _SCALE, y)], line)
        _write(draw, (axes.left + 30 * _SCALE, y), line.name, "lm")
    return picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)


def _sides(axes: Axes) -> tuple[float, ...]:
    return axes.width, axes.height, axes.left, axes.right, axes.top, axes.bottom


def _write(draw: ImageDraw.ImageDraw, at: Point, words: str, anchor: str, size: int = 12) -> None:
    draw.text(at, writable(words), fill=_INK, font=ImageFont.load_default(size * _SCALE), anchor=anchor)


def _write_upwards(picture: Image.Image, y: float, words: str) -> None:
    font = ImageFont.load_default(12 * _SCALE)
    words = writable(words)
    left, top, right, bottom = font.getbbox(words)
    strip = Image.new("RGB", (round(right - left) + 2, round(bottom - top) + 2), _PAPER)
    ImageDraw.Draw(strip).text((-left, -top), words, fill=_INK, font=font)
    turned = strip.transpose(Image.Transpose.ROTATE_90)
    picture.paste(turned, (6 * _SCALE, round(y - turned.height / 2)))


def _stroke(draw: ImageDraw.ImageDraw, points: Sequence[Point], line: Line) -> None:
    ink, wide = ImageColor.getrgb(colour(line.colour)), 2 * _SCALE
    if line.dashed:
        for start, end in _dashes(points, 6 * _SCALE, 4 * _SCALE):
            draw.line([start, end], fill=ink, width=wide)
    else:
        draw.line(points, fill=ink, width=wide, joint="curve")
    if len(points) == 1 or (line.dots and len(points) > 2):
        for x, y in points:
            radius = 3.5 * _SCALE
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)


def _dashes(points: Sequence[Point], on: float, off: float) -> list[tuple[Point, Point]]:
    """Pieces of a polyline of length ``on``, ``off`` apart, counted along it."""
    pieces: list[tuple[Point, Point]] = []
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
                pieces.append(((x1 + (x2 - x1) * a, y1 + (y2 - y1) * a), (x1 + (x2 - x1) * b, y1 + (y2 - y1) * b)))
            at, walked = at + step, walked + step
    return pieces


def _band(picture: Image.Image, axes: Axes, line: Line) -> None:
    there = [(axes.x(x), axes.y(y)) for x, y in zip(line.x, line.high, strict=True)]
    back = [(axes.x(x), axes.y(y)) for x, y in zip(line.x, line.low, strict=True)][::-1]
    if len(there) < 2:
        return
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).polygon([*there, *back], fill=38)
    picture.paste(ImageColor.getrgb(colour(line.colour)), (0, 0, picture.width, picture.height), mask)
