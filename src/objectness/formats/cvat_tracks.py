"""The tracks of CVAT for video: one object through many frames.

As CVAT does when it imports such a file: on a frame that a track does not mention, between two that it does, its box
lies on the straight line between both (files that CVAT exports mention every frame); where it is ``outside``, and until
it is mentioned again, there is no box. After its last box a track ends here, where CVAT would carry that box on to the
last frame of the video.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element

from objectness.datasets.outlines import Box
from objectness.errors import InputError
from objectness.formats.core.parsed import FileBuilder
from objectness.formats.cvat_shapes import attribute_number, box_of, score_of

_MOST_FRAMES = 10_000_000
_MOST_BETWEEN = 200_000  # boxes that the file does not hold, in a file of any size


@dataclass(frozen=True)
class _Placed:
    """A track's shape on one frame; ``box`` is None for shapes without one (points, say)."""

    frame: int
    number: int
    box: Box | None
    score: float | None
    is_upright: bool
    is_outside: bool
    label: str | None


def add_tracks(
    path: Path,
    tracks: Sequence[Element],
    builder: FileBuilder,
    size_hw: tuple[int, int] | None,
    frames: float | None,
    said: Counter[str],
) -> None:
    """Add every frame that a track mentions, in order, as an image with the boxes of all tracks.

    Args:
        path: For messages.
        tracks: The elements ``<track>``.
        builder: Where the images go.
        size_hw: Of the frames; None where unknown.
        frames: How many frames the video has; None where unknown.
        said: Counts inexact boxes.

    Raises:
        InputError: a frame that is no whole number, or twice in a track; a malformed shape; too many frames between.
    """
    placed: list[tuple[int, _Placed]] = []
    between = 0
    for which, track in enumerate(tracks):
        own = _shapes(path, track, f"of track {track.get('id', which)}"[:60], said)
        for before, after in pairwise(own):
            if before.frame == after.frame:
                raise InputError(f"{path}: track {track.get('id', which)} has two shapes on frame {after.frame}.")
            if before.box is None or before.is_outside or after.frame == before.frame + 1:
                continue
            between += after.frame - before.frame - 1
            if between > _MOST_BETWEEN:
                raise InputError(f"{path} leaves more than {_MOST_BETWEEN:,} boxes to be computed between keyframes.")
            placed.extend((which, shape) for shape in _line(before, after))
        placed.extend((which, shape) for shape in own)
        if own and not own[-1].is_outside and frames is not None and own[-1].frame + 1 < frames:
            said["{} tracks end at their last box, which CVAT would carry on to the end of the video"] += 1
    if between:
        said["computed {} boxes between keyframes, on a straight line as CVAT does"] = between
    placed.sort(key=lambda item: (item[1].frame, item[0]))
    for _, shape in placed:
        rows = builder.image(("frame", shape.frame), None, f"frame_{shape.frame:06d}", size_hw)
        if shape.box is not None and not shape.is_outside:
            rows.add(shape.box, shape.score, shape.number, class_number=builder.class_number(shape.label))


def _shapes(path: Path, track: Element, where: str, said: Counter[str]) -> list[_Placed]:
    found = []
    for number, element in enumerate(track, start=1):
        here = f"shape {number} {where}"
        frame = attribute_number(element.get("frame"))
        if frame is None or not frame.is_integer() or not 0 <= frame < _MOST_FRAMES:
            raise InputError(f"{path}: {here} is on no frame from 0 to {_MOST_FRAMES:,}.")
        is_outside = element.get("outside", "0").strip().lower() in ("1", "true")
        box = box_of(path, element, here, Counter() if is_outside else said)
        is_upright = element.tag == "box" and not attribute_number(element.get("rotation"))
        score, label = score_of(path, element, here), track.get("label") or None
        found.append(_Placed(int(frame), number, box, score, is_upright, is_outside, label))
    return sorted(found, key=lambda shape: shape.frame)


def _line(before: _Placed, after: _Placed) -> list[_Placed]:
    """The boxes between two shapes; where one is no upright rectangle, the first stays."""
    assert before.box is not None
    span = after.frame - before.frame
    target = after.box if after.box is not None and before.is_upright and after.is_upright else before.box
    made = []
    for step in range(1, span):
        part = step / span
        x1, y1, x2, y2 = (start + (end - start) * part for start, end in zip(before.box, target, strict=True))
        box = (x1, y1, x2, y2)
        made.append(_Placed(before.frame + step, before.number, box, before.score, True, False, before.label))
    return made
