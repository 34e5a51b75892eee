"""The one parser of YOLO label lines, for ground truth and for proposals alike.

A line is a class and a box, the corners of an outline (segmentation), or a box with key points (pose), all as
fractions of the upright image. Whether a faulty line is passed over with a ``Problem`` (ground truth) or refuses the
file (proposals) is for the reader to decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from objectness.datasets.outlines import Box, around_points
from objectness.datasets.path_lookup import exists
from objectness.datasets.records import Problem, ProblemKind
from objectness.errors import InputError
from objectness.files.untrusted import read_text

# Boxes of objects that are cut off by the border may stick out; numbers further out are no fractions of an image.
_FARTHEST = 1.5
TRACKED_COLUMNS = 7  # a class, a box, its score and the number of a track
_SLACK = 0.01  # of rounding, by which such a box may stick out of its image
_KEYPOINT_SLACK = 0.25  # of a box's sides, by which its key points may stick out of it
_SHOWN = 60


class LabelLine(NamedTuple):
    """One line of a label file.

    Attributes:
        number: Of the line, from 1.
        text: The line itself.
        class_id: The first column.
        coordinates: The numbers behind the class.
    """

    number: int
    text: str
    class_id: int
    coordinates: tuple[float, ...]

    @property
    def box(self) -> Box:
        """Corners of the box if the first four numbers are its centre, width and height."""
        xc, yc, width, height = self.coordinates[:4]
        return xc - width / 2, yc - height / 2, xc + width / 2, yc + height / 2

    @property
    def outline(self) -> Box:
        """Corners of the box around the outline if the numbers are points x, y; a last odd number is left out."""
        return around_points(list(zip(self.coordinates[::2], self.coordinates[1::2], strict=False)))

    @property
    def track(self) -> int:
        """The number of a track, if there are six numbers: a box in its image, a score and that; else 0."""
        word = self.text.split()[-1]
        if len(self.coordinates) + 1 != TRACKED_COLUMNS or not word.isdecimal() or not 0 <= self.coordinates[4] <= 1:
            return 0
        x1, y1, x2, y2 = self.box
        return int(min(self.coordinates[5], 2**31)) if min(x1, y1) >= -_SLACK and max(x2, y2) <= 1 + _SLACK else 0

    def marks_visibility(self, *, and_score: bool = False) -> bool:
        """Whether key points x, y, visibility (0, 1, 2) may follow the box, with a score behind them or not."""
        rest = self.coordinates[4 : -1 if and_score else None]
        return len(rest) >= 3 and len(rest) % 3 == 0 and all(value in (0, 1, 2) for value in rest[2::3])

    def has_keypoints(self, each: int) -> bool:
        """Whether key points of 2 or 3 numbers may follow the box: those that are placed lie in it.

        Eight coordinates are the corners of a turned box far more often than a box and two points.
        """
        rest = self.coordinates[4:]
        if each == 3 and not self.marks_visibility():
            return False
        if not rest or len(rest) % each or (each == 2 and len(self.coordinates) == 8):
            return False
        xc, yc, width, height = self.coordinates[:4]
        reach_x, reach_y = width * (0.5 + _KEYPOINT_SLACK), height * (0.5 + _KEYPOINT_SLACK)
        points = zip(rest[::each], rest[1::each], strict=True)
        return all(abs(x - xc) <= reach_x and abs(y - yc) <= reach_y for x, y in points if x or y)


class BadLine(NamedTuple):
    """A line that holds no numbers or no class, and the reason, which reads on after "line 3"."""

    number: int
    text: str
    reason: str


@dataclass(frozen=True)
class Columns:
    """Meaning of the columns in the label files of a data set.

    Attributes:
        keypoints: How many numbers of key points follow the box; 0 for none.
        has_tracks: In lines of seven columns a score and the number of a track follow the box.
        note: The conclusion in a sentence, where data.yaml does not say it.
    """

    keypoints: int = 0
    has_tracks: bool = False
    note: str | None = None


def label_lines(path: Path, columns: int | None = None) -> Iterator[LabelLine | BadLine]:
    """The lines of a label file that are not empty; with ``columns`` only those of so many columns.

    Raises:
        InputError: the file cannot be read.
    """
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        words = line.split()
        if words and columns in (None, len(words)):
            yield _parse(number, line.strip(), words)


def declared_keypoints(document: Mapping[Any, Any]) -> int:
    """Number of key-point values that ``kpt_shape`` of a data.yaml declares; 0 for none."""
    match document.get("kpt_shape"):
        case [int(points), int(2 | 3 as each)] if 0 < points < 10_000:
            return points * each
        case _:
            return 0


def has_tracks(lines: Iterable[LabelLine | object]) -> bool:
    """Whether seven columns are a box, its score and a track number, and not an outline of three points.

    True if every line of seven columns is a box inside the image, a score and a track number of at least 1, and there
    are at least two such lines or a number above 1. A single line that ends in 1 may be an outline at the border.
    """
    count, last = 0, 0
    for line in lines:
        if isinstance(line, LabelLine) and len(line.coordinates) + 1 == TRACKED_COLUMNS:
            track = line.track
            if not track:
                return False
            count, last = count + 1, max(last, track)
    return last > 1 or count > 1


def judge_columns(lines: Sequence[LabelLine], declared: int) -> Columns:
    """The meaning of the columns, as ``declared_keypoints`` or else as all lines together show it."""
    if declared:
        return Columns(declared)
    if has_tracks(lines):
        note = "in label lines of 7 columns a score and the number of a track follow the box."
        return Columns(has_tracks=True, note=note)
    longer = [line for line in lines if len(line.coordinates) > 5]
    counts = {len(line.coordinates) for line in longer}
    if len(counts) != 1:
        return Columns()
    count = counts.pop()
    what = f"the label lines of {count + 1} columns were read as"
    if all(line.has_keypoints(3) for line in longer):
        return Columns(count - 4, note=f"{what} a box and {(count - 4) // 3} key points, which were left out.")
    if all(line.has_keypoints(2) for line in longer):
        advice = "should they be a box and key points, 'kpt_shape' in data.yaml must say so."
        return Columns(note=f"{what} polygons: {advice}")
    return Columns()


def read_lines(path: Path) -> list[LabelLine | Problem]:
    """The lines of a label file and the faults of others; none where there is no file."""
    try:
        lines = list(label_lines(path)) if exists(path) else []
    except InputError as error:
        return [Problem(ProblemKind.UNREADABLE_ANNOTATION, str(path), str(error).removeprefix(f"{path} "))]
    return [_malformed(path, line, line.reason) if isinstance(line, BadLine) else line for line in lines]


def box_in_pixels(line: LabelLine, columns: Columns, size_hw: tuple[int, int], path: Path) -> Box | Problem:
    """Corners of the box of a ground-truth line in pixels, or the line's fault."""
    count = len(line.coordinates)
    if count >= 4 and (columns.keypoints or count <= 5 or (columns.has_tracks and count + 1 == TRACKED_COLUMNS)):
        extent = line.box
    elif count >= 6 and count % 2 == 0:
        extent = line.outline
    else:
        reason = f"has {count + 1} columns where 'class xc yc w h' (5) or a polygon (7, 9, ...) is due"
        return _malformed(path, line, reason)
    x1, y1, x2, y2 = extent
    if min(extent) < 1 - _FARTHEST or max(extent) > _FARTHEST or max(x2 - x1, y2 - y1) > _FARTHEST:
        return _malformed(path, line, "has coordinates that are no fractions of the image (are they pixels?)")
    height, width = size_hw
    return x1 * width, y1 * height, x2 * width, y2 * height


def _parse(number: int, text: str, words: Sequence[str]) -> LabelLine | BadLine:
    try:
        class_id, *coordinates = map(float, words)
    except ValueError:
        return BadLine(number, text, "holds something that is not a number")
    if not class_id.is_integer() or class_id < 0:
        return BadLine(number, text, f"has the class {words[0][:20]}, which is no whole number from 0")
    return LabelLine(number, text, int(class_id), tuple(coordinates))


def _malformed(path: Path, line: LabelLine | BadLine, reason: str) -> Problem:
    text = line.text if len(line.text) <= _SHOWN else f"{line.text[: _SHOWN - 3]}..."
    return Problem(ProblemKind.MALFORMED, str(path), f"line {line.number} {reason}: {text!r}")
