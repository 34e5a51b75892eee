"""A chart as inline SVG."""

from __future__ import annotations

from html import escape

from objectness.evaluation.curves import Chart
from objectness.evaluation.report.axes import DASHES, FAINT, RADIUS, Area, Axes, Dot, Mark, Stroke, Text, marks


def to_svg(chart: Chart) -> str:
    """The chart with its legend below; colours of text and grid follow the page (``currentColor``)."""
    axes = Axes(chart)
    head = f'<svg class="chart" viewBox="0 0 {axes.width:g} {axes.paper_height:g}" role="img"'
    return f'{head} aria-label="{escape(chart.title)}">{"".join(map(_element, marks(axes)))}</svg>'


def _element(mark: Mark) -> str:
    match mark:
        case Text():
            kind = ' class="title"' if mark.is_title else f' text-anchor="{mark.anchor}"'
            turned = f"translate({mark.x:g} {mark.y:g}) rotate(-90)"
            place = f'transform="{turned}"' if mark.upwards else f'x="{mark.x:.1f}" y="{mark.y:.1f}"'
            return f"<text {place}{kind}>{escape(mark.words)}</text>"
        case Stroke(colour=None):
            return f'<path class="grid" d="M{_path(mark.points)}"/>'
        case Stroke():
            dashes = f' stroke-dasharray="{DASHES[0]} {DASHES[1]}"' if mark.dashed else ""
            ink = f'fill="none" stroke="{mark.colour}" stroke-width="2"{dashes}'
            return f'<path d="M{_path(mark.points)}" {ink} stroke-linejoin="round"/>'
        case Area():
            return f'<path d="M{_path(mark.points)}Z" fill="{mark.colour}" fill-opacity="{FAINT}"/>'
        case Dot():
            return f'<circle cx="{mark.x:.1f}" cy="{mark.y:.1f}" r="{RADIUS}" fill="{mark.colour}"/>'


def _path(points: tuple[tuple[float, float], ...]) -> str:
    return "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
