"""Pictures of ``objectness propose``: a photograph with its boxes, the overview of a large image, details of both."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from objectness.images.windows.protocol import Rectangle
    from objectness.proposals import Proposals

OVERVIEW_TIMES = 5  # so many times as many boxes on an overview, which shows so many times as much


@dataclass(frozen=True)
class Wanted:
    """What is to be drawn.

    Attributes:
        boxes: On a picture, at most.
        details: How many parts, those in which most was found.
        parts: Parts that were named.
        max_pixels: Images of more pixels are refused.
    """

    boxes: int
    details: int
    parts: tuple[Rectangle, ...]
    max_pixels: int

    @property
    def has_details(self) -> bool:
        """Whether parts are drawn in pictures of their own."""
        return self.details > 0 or len(self.parts) > 0


def parts_of(photo: Path, proposals: Proposals, wanted: Wanted) -> tuple[Rectangle, ...]:
    """The parts that are drawn in pictures of their own: those that were named, then those in which most was found.

    Raises:
        InputError: A part that was named lies outside of the photograph, or is too large.
    """
    if not wanted.has_details:
        return ()
    from objectness.drawing.details import choose_details, require_inside

    named = tuple(require_inside(part, proposals.size_hw, str(photo)) for part in wanted.parts)
    return named + choose_details(proposals.size_hw, proposals.boxes_xyxy, proposals.scores, wanted.details)


def draw_picture(picture: Path, image: NDArray[np.uint8], proposals: Proposals, wanted: Wanted) -> str:
    """Draw a photograph that is in memory; gives the picture's file.

    Raises:
        InputError: The picture cannot be written.
    """
    from objectness.drawing import draw_boxes
    from objectness.drawing.saving import save_picture

    save_picture(draw_boxes(image, proposals.boxes_xyxy, proposals.scores, limit=wanted.boxes), picture)
    return str(picture)


def draw_overview_of(
    photo: Path,
    picture: Path,
    proposals: Proposals,
    wanted: Wanted,
    *,
    missing: Sequence[Rectangle],
    parts: Sequence[Rectangle],
) -> str:
    """Draw a large image from its file, shrunk; gives the picture's file.

    Raises:
        InputError: The picture cannot be written, or the image not be read any more.
    """
    from objectness.drawing.overview import LONGEST, draw_overview
    from objectness.drawing.saving import save_picture
    from objectness.drawing.shrunk import shrink
    from objectness.images.windows.open_windows import open_windows

    with closing(open_windows(photo, max_pixels=wanted.max_pixels)) as reader:
        shrunk = shrink(reader, LONGEST)
    limit = OVERVIEW_TIMES * wanted.boxes
    boxes, scores = proposals.boxes_xyxy, proposals.scores
    save_picture(draw_overview(shrunk, boxes, scores, limit=limit, missing=missing, details=parts), picture)
    return str(picture)


def draw_details(
    source: Path | NDArray[np.uint8],
    picture: Path,
    proposals: Proposals,
    wanted: Wanted,
    parts: Sequence[Rectangle],
) -> list[str]:
    """Draw parts at full resolution, beside the whole picture; gives their files.

    Raises:
        InputError: A picture cannot be written, or the image not be read any more.
    """
    if not parts:
        return []
    from objectness.drawing.details import draw_detail
    from objectness.drawing.saving import save_picture
    from objectness.images.finding import DRAWN_SUFFIX
    from objectness.images.windows.open_windows import open_windows

    stem = picture.stem.removesuffix(DRAWN_SUFFIX)
    numbers = range(1, len(parts) + 1)
    names = [picture.with_name(f"{stem}.detail-{number}{DRAWN_SUFFIX}{picture.suffix}") for number in numbers]
    with closing(open_windows(source, max_pixels=wanted.max_pixels)) as reader:
        for name, part in sorted(zip(names, parts, strict=True), key=lambda detail: detail[1].y):  # as files are read
            detail = draw_detail(reader, part, proposals.boxes_xyxy, proposals.scores, limit=wanted.boxes)
            save_picture(detail, name)
    return [str(name) for name in names]
