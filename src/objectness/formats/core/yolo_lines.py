"""The lines of a YOLO label file: boxes, outlines (segmentation), boxes with key points (pose); with a score or not.

The number of a track behind the score is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from objectness.datasets.outlines import Box, around_points
from objectness.errors import InputError
from objectness.files.untrusted import read_text

_KEY_POINTS = re.compile(r"^kpt_shape\s*:\s*\[\s*(\d{1,4})\s*,\s*([23])\s*\]", re.MULTILINE)
_TRACKED = 7
_SLACK = 0.01  # of rounding, by which a box may stick out of its image
_LARGEST_FRACTION = 2.0  # a box may stick out of its image, but not by more than the image; pixels do


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        number: From 1.
        class_number: The first column.
        box: x1, y1, x2, y2 as fractions of the image.
        score: The last column, where there is one for it.
        is_outline: ``box`` is the one around an outline.
        may_be_pixels: A number is too large for a fraction of the image.
    """

    number: int
    class_number: int
    box: Box
    score: float | None
    is_outline: bool
    may_be_pixels: bool


def key_points_of(data_yaml: Path) -> int:
    """How many columns are key points, as ``kpt_shape`` of a data.yaml says; 0 where it says nothing."""
    if not data_yaml.is_file():
        return 0
    found = _KEY_POINTS.search(read_text(data_yaml))
    return int(found[1]) * int(found[2]) if found else 0


def label_lines(label: Path, key_points: int, tracks: bool = False) -> Iterator[Line]:
    """The lines of one file.

    Args:
        label: The file.
        key_points: How many columns are key points.
        tracks: Seven columns are a box, its score and the number of a track, as ``has_tracks`` says.

    Raises:
        InputError: with the number of the line and what is wrong with it.
    """
    for number, line in enumerate(read_text(label).split("\n"), start=1):
        if line.strip():
            try:
                yield _line(number, line.split(), key_points, tracks)
            except ValueError as error:
                raise InputError(f"{label}: line {number} {error}.") from None


def _line(number: int, words: Sequence[str], key_points: int, tracks: bool) -> Line:
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise ValueError("holds something that is not a number") from None
    if not values[0].is_integer() or values[0] < 0:
        raise ValueError(f"has the class {words[0][:20]}, which is no whole number from 0")
    if tracks and len(words) == _TRACKED:
        words, values = words[:-1], values[:-1]
    columns = len(values)
    is_box = columns in (5 + key_points, 6 + key_points)
    if not is_box and (columns < 7 or key_points):
        due = f" and {key_points} of key points" if key_points else ""
        raise ValueError(f"has {columns} columns; due are class xc yc w h{due} and the score")
    if not is_box and _may_be_key_points(values):
        raise ValueError(
            f"has {columns} columns, an outline or a box with key points: "
            "lay the data.yaml beside the labels that says which by its kpt_shape"
        )
    has_score = columns == 6 + key_points if is_box else columns % 2 == 0
    places = values[1:5] if is_box else values[1 : columns - has_score]
    may_be_pixels = any(isfinite(value) and abs(value) > _LARGEST_FRACTION for value in places)
    if has_score and values[-1] > 1 and words[-1].isdecimal():
        raise ValueError(f"has {words[-1][:20]} in the place of the score, as if it were the number of a track")
    if is_box:
        xc, yc, width, height = places
        box = (xc - width / 2, yc - height / 2, xc + width / 2, yc + height / 2)
    else:
        box = around_points(list(zip(places[::2], places[1::2], strict=True)))
    return Line(number, int(values[0]), box, values[-1] if has_score else None, not is_box, may_be_pixels)


def has_tracks(labels: Iterable[Path]) -> bool:
    """Whether seven columns are a box, its score and the number of a track, and no outline of three points.

    All lines of seven columns must end in a whole number from 1, behind a score and a box in its image; and one of
    them in more than 1, or there is more than one line: outlines may end in 1, at the border, but not all of them.
    """
    lines, last = 0, 0
    for label in labels:
        for line in read_text(label).split("\n"):
            words = line.split()
            if len(words) == _TRACKED:
                number = _track(words)
                if not number:
                    return False
                lines, last = lines + 1, max(last, number)
    return last > 1 or lines > 1


def _track(words: Sequence[str]) -> int:
    """The number of the track in a line of seven columns; 0 where it can be none."""
    try:
        xc, yc, width, height, score = (float(word) for word in words[1:6])
    except ValueError:
        return 0
    inside = min(xc - width / 2, yc - height / 2) > -_SLACK and max(xc + width / 2, yc + height / 2) < 1 + _SLACK
    number = words[-1]
    return int(number) if inside and 0 <= score <= 1 and number.isdecimal() and len(number) < 10 else 0


def _may_be_key_points(values: Sequence[float]) -> bool:
    """Triples x, y, visibility (0, 1, 2) after a box, with a score behind or not."""
    return any(
        (len(values) - 5 - extra) % 3 == 0 and all(value in (0, 1, 2) for value in values[7 : len(values) - extra : 3])
        for extra, least in ((0, 8), (1, 12))
        if len(values) >= least
    )
