"""The lines of a YOLO label file: boxes, polygons, or boxes with key points, as fractions of the upright image."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from objectness.datasets import box_validity
from objectness.datasets.locating import exists
from objectness.datasets.records import Problem
from objectness.errors import InputError
from objectness.files.untrusted import read_text

Extent = tuple[float, float, float, float]

# Boxes of objects that are cut off by the border may stick out; what lies further out is no fraction of an image.
_FARTHEST = 1.5
_BOX_OR_SCORED = (4, 5)
_TRACKED = 6  # coordinates: a box, its score and the number of a track
_SLACK = 0.01  # of rounding, by which such a box may stick out of its image
_SHOWN = 60
# Key points may stick out of their box by this share of its sides.
_KEYPOINT_SLACK = 0.25


@dataclass(frozen=True)
class LabelLine:
    """One label line, not yet judged: whether key points follow the box only the whole data set can tell.

    Attributes:
        number: Of the line, from 1.
        class_id: As written.
        count: How many coordinates follow the class.
        box: Extent x1, y1, x2, y2 if the first four are xc, yc, w, h; fractions of the image.
        polygon: Extent if all of them are corners; None where they cannot be.
        with_visibility: They can be a box and key points x, y, v.
        with_points: They can be a box and key points x, y.
        track: The last of them, if they can be a box, a score and the number of a track; else 0.
        text: The line itself, shortened.
    """

    number: int
    class_id: int
    count: int
    box: Extent
    polygon: Extent | None
    with_visibility: bool
    with_points: bool
    track: int
    text: str


@dataclass(frozen=True)
class Columns:
    """What the columns of a data set's lines mean.

    Attributes:
        has_keypoints: Key points follow the box.
        note: What was concluded, where data.yaml does not say it.
        has_tracks: In lines of seven columns a score and the number of a track follow the box.
    """

    has_keypoints: bool
    note: str | None = None
    has_tracks: bool = False


def read_lines(path: Path) -> list[LabelLine | Problem]:
    """The lines of a label file; none where there is no file."""
    if not exists(path):
        return []
    try:
        text = read_text(path)
    except InputError as error:
        return [Problem(box_validity.UNREADABLE_ANNOTATION, str(path), str(error).removeprefix(f"{path} "))]
    found: list[LabelLine | Problem] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                found.append(_parse(number, line.strip()))
            except ValueError as error:
                found.append(_malformed(path, number, str(error), _shown(line.strip())))
    return found


def judge_columns(lines: Iterable[LabelLine], declared: bool) -> Columns:
    """Whether key points follow the box in every line; ``declared`` by data.yaml."""
    if declared:
        return Columns(True)
    count: int | None = None
    with_visibility = with_points = with_tracks = True
    last_track = tracked = 0
    for line in lines:
        if line.count in _BOX_OR_SCORED:
            continue
        if line.count == _TRACKED:
            with_tracks &= line.track > 0
            last_track, tracked = max(last_track, line.track), tracked + 1
        with_visibility &= line.with_visibility and count in (None, line.count)
        with_points &= line.with_points and count in (None, line.count)
        count = line.count
    if with_tracks and (last_track > 1 or tracked > 1):  # an outline may end in 1, at the border, but not all of them
        return Columns(False, "in label lines of 7 columns a score and the number of a track follow the box.", True)
    if count is None or not (with_visibility or with_points):
        return Columns(False)
    what = f"the label lines of {count + 1} columns were read as"
    if with_visibility:
        return Columns(True, f"{what} a box and {(count - 4) // 3} key points, which were left out.")
    return Columns(
        False, f"{what} polygons: should they be a box and key points, 'kpt_shape' in data.yaml must say so."
    )


def extent_in_pixels(line: LabelLine, columns: Columns, size_hw: tuple[int, int], path: Path) -> Extent | Problem:
    """Corners of the box in pixels, or what is wrong with the line."""
    is_tracked = columns.has_tracks and line.count == _TRACKED
    if columns.has_keypoints or line.count in _BOX_OR_SCORED or is_tracked:
        extent = line.box
    elif line.polygon is not None:
        extent = line.polygon
    else:
        reason = f"has {line.count + 1} columns where 'class xc yc w h' (5) or a polygon (7, 9, ...) is due"
        return _malformed(path, line.number, reason, line.text)
    x1, y1, x2, y2 = extent
    low, high = 1 - _FARTHEST, _FARTHEST
    if min(extent) < low or max(extent) > high or max(x2 - x1, y2 - y1) > _FARTHEST:
        reason = "has coordinates that are no fractions of the image (are they pixels?)"
        return _malformed(path, line.number, reason, line.text)
    height, width = size_hw
    return x1 * width, y1 * height, x2 * width, y2 * height


def _parse(number: int, line: str) -> LabelLine:
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        raise ValueError("holds something that is not a number") from None
    class_number, coordinates = values[0], values[1:]
    if not class_number.is_integer() or class_number < 0:
        raise ValueError("has a class that is not a whole number from 0")
    if len(coordinates) < _BOX_OR_SCORED[0]:
        raise ValueError(f"has {len(values)} columns where 'class xc yc w h' (5) or a polygon (7, 9, ...) is due")
    xc, yc, width, height = coordinates[:4]
    polygon = None
    if len(coordinates) >= 6 and len(coordinates) % 2 == 0:
        xs, ys = coordinates[::2], coordinates[1::2]
        polygon = (min(xs), min(ys), max(xs), max(ys))
        if any(math.isnan(value) for value in coordinates):
            polygon = (math.nan,) * 4
    return LabelLine(
        number,
        int(class_number),
        len(coordinates),
        (xc - width / 2, yc - height / 2, xc + width / 2, yc + height / 2),
        polygon,
        _are_keypoints(coordinates, 3),
        _are_keypoints(coordinates, 2),
        _track(line.split()[1:], coordinates),
        _shown(line),
    )


def _are_keypoints(coordinates: Sequence[float], each: int) -> bool:
    """Whether key points of 2 or 3 numbers may follow the box: marked 0, 1 or 2, and where they are, in the box.

    Eight coordinates are the corners of a turned box far more often than a box and two points.
    """
    rest = coordinates[4:]
    if not rest or len(rest) % each or (each == 2 and len(coordinates) == 8):
        return False
    points = [rest[start : start + each] for start in range(0, len(rest), each)]
    if each == 3 and not all(point[2] in (0, 1, 2) for point in points):
        return False
    xc, yc, width, height = coordinates[:4]
    reach_x, reach_y = width * (0.5 + _KEYPOINT_SLACK), height * (0.5 + _KEYPOINT_SLACK)
    placed = [point for point in points if point[0] or point[1]]
    return all(abs(point[0] - xc) <= reach_x and abs(point[1] - yc) <= reach_y for point in placed)


def _track(words: Sequence[str], coordinates: Sequence[float]) -> int:
    """The number of a track behind a box and its score; 0 where there is none."""
    if len(words) != _TRACKED or not words[-1].isdecimal() or not 0 <= coordinates[4] <= 1:
        return 0
    xc, yc, width, height = coordinates[:4]
    if min(xc - width / 2, yc - height / 2) < -_SLACK or max(xc + width / 2, yc + height / 2) > 1 + _SLACK:
        return 0
    return int(min(coordinates[5], 2**31))


def _shown(line: str) -> str:
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."


def _malformed(path: Path, number: int, reason: str, text: str) -> Problem:
    return Problem(box_validity.MALFORMED, str(path), f"line {number} {reason}: {text!r}")
