"""Upright boxes of the shapes in CVAT's XML: rectangles as they are, boxes around rotated ones and outlines."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree.ElementTree import Element

from objectness.datasets.outlines import Box, around_ellipse, around_points, around_rotated
from objectness.errors import InputError
from objectness.files import json_values

_CORNERS = ("xtl", "ytl", "xbr", "ybr")
ROTATED = "took the upright rectangles around {} rotated boxes"


def box_of(path: Path, element: Element, where: str, said: Counter[str]) -> Box | None:
    """The box of one shape; None for points, skeletons and tags. ``said`` counts inexact boxes.

    Raises:
        InputError: the shape's numbers are missing or malformed.
    """
    match element.tag:
        case "box":
            x1, y1, x2, y2 = _numbers(path, element, _CORNERS, where)
            degrees = _degrees(path, element, where)
            if not degrees:
                return x1, y1, x2, y2
            said[ROTATED] += 1
            return around_rotated((x1, y1, x2, y2), degrees, ((x1 + x2) / 2, (y1 + y2) / 2))
        case "polygon" | "polyline":
            said[f"took the boxes around {{}} outlines <{element.tag}>"] += 1
            return around_points(_points(path, element, where))
        case "ellipse":
            said["took the boxes around {} outlines <ellipse>"] += 1
            cx, cy, rx, ry = _numbers(path, element, ("cx", "cy", "rx", "ry"), where)
            return around_ellipse((cx, cy), (rx, ry), _degrees(path, element, where))
        case "mask":
            said["took the boxes around {} outlines <mask>"] += 1
            x, y, width, height = _numbers(path, element, ("left", "top", "width", "height"), where)
            return x, y, x + width, y + height
        case tag:
            said[f"left out {{}} shapes <{tag[:20].translate(_BRACES)}>"] += 1
            return None


def score_of(path: Path, element: Element, where: str) -> float | None:
    """The attribute "score" (or "confidence") of a shape.

    Raises:
        InputError: it is there and no number.
    """
    said = {attribute.get("name"): attribute.text for attribute in element.findall("attribute")}
    value = said.get("score", said.get("confidence"))
    if value is None or not value.strip():
        return None
    return json_values.score({"score": value}, "score", path, where)


def attribute_number(text: str | None) -> float | None:
    """A number, or None."""
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


_BRACES = str.maketrans("{}", "()")


def _numbers(path: Path, element: Element, names: tuple[str, str, str, str], where: str) -> list[float]:
    found = json_values.numbers([attribute_number(element.get(name)) for name in names], 4)
    if found is None:
        raise InputError(f"{path}: {where} has no {', '.join(names)} as numbers.")
    return found


def _degrees(path: Path, element: Element, where: str) -> float:
    degrees = attribute_number(element.get("rotation", "0"))
    if degrees is None:
        raise InputError(f"{path}: {where} has a rotation that is no number.")
    return degrees


def _points(path: Path, element: Element, where: str) -> list[tuple[float, float]]:
    points = []
    for pair in element.get("points", "").split(";"):
        numbers = json_values.numbers([attribute_number(word) for word in pair.split(",")], 2)
        if numbers is None:
            raise InputError(f"{path}: {where} has no points x,y;x,y;... as numbers.")
        points.append((numbers[0], numbers[1]))
    return points
