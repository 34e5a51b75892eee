"""The upright box around the shapes of annotation tools: rotated rectangles, outlines, ellipses."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, hypot, isfinite, nan, radians, sin

Box = tuple[float, float, float, float]


def around_points(points: Sequence[tuple[float, float]]) -> Box:
    """Around at least one point x, y; a box of NaN where one is not finite, which ``min`` might pass over."""
    if not all(isfinite(x) and isfinite(y) for x, y in points):
        return nan, nan, nan, nan
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def around_rotated(box_xyxy: Box, degrees: float, pivot: tuple[float, float]) -> Box:
    """Around a rectangle that is turned clockwise (as seen, y downwards) about a point."""
    if not isfinite(degrees):
        return box_xyxy
    x1, y1, x2, y2 = box_xyxy
    px, py = pivot
    c, s = cos(radians(degrees)), sin(radians(degrees))
    return around_points(
        [
            (px + (x - px) * c - (y - py) * s, py + (x - px) * s + (y - py) * c)
            for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))
        ]
    )


def around_ellipse(centre: tuple[float, float], radii: tuple[float, float], degrees: float) -> Box:
    """Around an ellipse whose axes are turned clockwise about its centre."""
    (x, y), (rx, ry) = centre, radii
    c, s = (cos(radians(degrees)), sin(radians(degrees))) if isfinite(degrees) else (1.0, 0.0)
    half_width, half_height = hypot(rx * c, ry * s), hypot(rx * s, ry * c)
    return x - half_width, y - half_height, x + half_width, y + half_height
