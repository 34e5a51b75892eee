"""The drawing of a chart as lines, areas, dots and words: painted as SVG and as PNG."""

from __future__ import annotations

import math
from dataclasses import dataclass

from objectness.evaluation.curves import Chart

# Okabe and Ito's colours, apart for every kind of colour blindness; the last is for what belongs to no method.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#444444")
NEUTRAL = "#8a8f98"
LINE_HEIGHT = 18  # of the legend
RADIUS = 3.5  # of a dot
DASHES = (6, 4)  # on, off
FAINT = 0.15  # opacity of an area

Point = tuple[float, float]


def colour(number: int) -> str:
    """Colour of a line; the colours repeat."""
    return NEUTRAL if number < 0 else COLOURS[number % len(COLOURS)]


@dataclass(frozen=True)
class Axes:
    """A chart on paper of ``width`` x ``height`` with margins, all in one unit (y runs downwards)."""

    chart: Chart
    width: float = 640
    height: float = 400
    left: float = 64
    right: float = 16
    top: float = 40
    bottom: float = 52

    @property
    def paper_height(self) -> float:
        """Height with the legend below."""
        return self.height + LINE_HEIGHT * len(self.chart.lines) + 8

    def x(self, value: float) -> float:
        """Distance from the left edge."""
        low, high = self.chart.x_range
        if self.chart.log_x:
            value, low, high = math.log10(max(value, low)), math.log10(low), math.log10(high)
        return self.left + (value - low) / (high - low) * (self.width - self.left - self.right)

    def y(self, value: float) -> float:
        """Distance from the top edge."""
        low, high = self.chart.y_range
        return self.height - self.bottom - (value - low) / (high - low) * (self.height - self.top - self.bottom)

    def x_ticks(self) -> list[tuple[float, str]]:
        """Values with their words."""
        low, high = self.chart.x_range
        if not self.chart.log_x:
            return _linear(low, high)
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        found = [m * 10.0**d for d in decades for m in (1, 3) if low <= m * 10.0**d <= high * (1 + 1e-9)]
        return [(value, f"{value:g}") for value in found]

    def y_ticks(self) -> list[tuple[float, str]]:
        """Values with their words."""
        return _linear(*self.chart.y_range)


def _linear(low: float, high: float) -> list[tuple[float, str]]:
    span = high - low
    raw = span / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    count = int((high - first * step) / step + 1e-9) + 1
    return [((first + i) * step, f"{round((first + i) * step, 10):g}") for i in range(count)]


@dataclass(frozen=True)
class Text:
    """Words whose baseline has its "start", "middle" or "end" at (x, y); turned by 90 degrees with ``upwards``."""

    x: float
    y: float
    words: str
    anchor: str = "start"
    is_title: bool = False
    upwards: bool = False


@dataclass(frozen=True)
class Stroke:
    """A line through points; of the grid without a colour."""

    points: tuple[Point, ...]
    colour: str | None = None
    dashed: bool = False


@dataclass(frozen=True)
class Area:
    """A faint polygon."""

    points: tuple[Point, ...]
    colour: str


@dataclass(frozen=True)
class Dot:
    """A filled circle of ``RADIUS``."""

    x: float
    y: float
    colour: str


Mark = Text | Stroke | Area | Dot


def marks(axes: Axes) -> list[Mark]:
    """The drawing of a chart with its legend below, in the order in which it is painted."""
    chart = axes.chart
    bottom, right = axes.height - axes.bottom, axes.width - axes.right
    found: list[Mark] = [Text(axes.left, 22, chart.title, is_title=True)]
    for value, words in axes.y_ticks():
        y = axes.y(value)
        found += [Stroke(((axes.left, y), (right, y))), Text(axes.left - 8, y + 4, words, "end")]
    for value, words in axes.x_ticks():
        x = axes.x(value)
        found += [Stroke(((x, axes.top), (x, bottom))), Text(x, bottom + 18, words, "middle")]
    found.append(Text((axes.left + right) / 2, bottom + 40, chart.x_label, "middle"))
    found.append(Text(16, (axes.top + bottom) / 2, chart.y_label, "middle", upwards=True))
    for line in chart.lines:
        there = [(axes.x(x), axes.y(y)) for x, y in zip(line.x, line.high, strict=bool(line.high))]
        back = [(axes.x(x), axes.y(y)) for x, y in zip(line.x, line.low, strict=bool(line.low))]
        if len(there) > 1:
            found.append(Area((*there, *reversed(back)), colour(line.colour)))
    for number, line in enumerate(chart.lines):
        points = tuple((axes.x(x), axes.y(y)) for x, y in zip(line.x, line.y, strict=True))
        ink, y = colour(line.colour), axes.height + LINE_HEIGHT * number + 4
        found.append(Stroke(points, ink, line.dashed))
        if line.dots or len(points) == 1:
            found += [Dot(*point, ink) for point in points]
        found.append(Stroke(((axes.left, y), (axes.left + 22, y)), ink, line.dashed))
        found.append(Text(axes.left + 30, y + 4, line.name))
    return found
