"""A chart as inline SVG."""

from __future__ import annotations

from html import escape

from objectness.evaluation.curves import Chart, Line
from objectness.evaluation.report.axes import Axes, colour

_SWATCH, _LINE_HEIGHT = 22, 18


def to_svg(chart: Chart) -> str:
    """The chart with its legend below; colours of text and grid follow the page (``currentColor``)."""
    axes = Axes(chart)
    height = axes.height + _LINE_HEIGHT * len(chart.lines) + 8
    parts = [
        f'<svg class="chart" viewBox="0 0 {axes.width:g} {height:g}" role="img" aria-label="{escape(chart.title)}">',
        f'<text x="{axes.left:g}" y="22" class="title">{escape(chart.title)}</text>',
    ]
    bottom, right = axes.height - axes.bottom, axes.width - axes.right
    for value, words in axes.y_ticks():
        y = axes.y(value)
        parts.append(f'<path class="grid" d="M{axes.left:g} {y:.1f}H{right:g}"/>')
        parts.append(f'<text x="{axes.left - 8:g}" y="{y + 4:.1f}" text-anchor="end">{words}</text>')
    for value, words in axes.x_ticks():
        x = axes.x(value)
        parts.append(f'<path class="grid" d="M{x:.1f} {axes.top:g}V{bottom:g}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18:g}" text-anchor="middle">{words}</text>')
    middle_x, middle_y = (axes.left + right) / 2, (axes.top + bottom) / 2
    parts.append(f'<text x="{middle_x:g}" y="{bottom + 40:g}" text-anchor="middle">{escape(chart.x_label)}</text>')
    parts.append(
        f'<text transform="translate(16 {middle_y:g}) rotate(-90)" text-anchor="middle">{escape(chart.y_label)}</text>'
    )
    parts += [_band(axes, line) for line in chart.lines if line.low]
    for number, line in enumerate(chart.lines):
        parts.append(_curve(axes, line))
        y = axes.height + _LINE_HEIGHT * number + 4
        parts.append(f'<path d="M{axes.left:g} {y:g}h{_SWATCH}" {_stroke(line)}/>')
        parts.append(f'<text x="{axes.left + _SWATCH + 8:g}" y="{y + 4:g}">{escape(line.name)}</text>')
    return "".join([*parts, "</svg>"])


def _stroke(line: Line) -> str:
    dashes = ' stroke-dasharray="6 4"' if line.dashed else ""
    return f'fill="none" stroke="{colour(line.colour)}" stroke-width="2"{dashes}'


def _curve(axes: Axes, line: Line) -> str:
    points = [(axes.x(x), axes.y(y)) for x, y in zip(line.x, line.y, strict=True)]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dots = ""
    if line.dots or len(points) == 1:
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour(line.colour)}"/>' for x, y in points)
    return f'<path d="{path}" {_stroke(line)} stroke-linejoin="round"/>{dots}'


def _band(axes: Axes, line: Line) -> str:
    there = [f"{axes.x(x):.1f} {axes.y(y):.1f}" for x, y in zip(line.x, line.high, strict=True)]
    back = [f"{axes.x(x):.1f} {axes.y(y):.1f}" for x, y in zip(line.x, line.low, strict=True)][::-1]
    return f'<path d="M{"L".join([*there, *back])}Z" fill="{colour(line.colour)}" fill-opacity="0.15"/>'
