"""Where a chart's points lie on paper: shared by the SVG and the PNG."""

from __future__ import annotations

import math
from dataclasses import dataclass

from objectness.evaluation.curves import Chart

# Okabe and Ito's colours, apart for every kind of colour blindness; the last is for what belongs to no method.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#444444")
NEUTRAL = "#8a8f98"


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
