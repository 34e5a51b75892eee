"""Crops: the pixels of each proposal with some of its surroundings, from an image of any size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from objectness.arguments import is_number, is_whole
from objectness.boxes import Boxes, area, intersection
from objectness.drawing.shrunk import shrink
from objectness.errors import InputError
from objectness.images.windows.protocol import Rectangle, Window, WindowReader
from objectness.proposals import Proposals

LONGEST = 4096
_MOST_LONGEST = 16_384


@dataclass(frozen=True)
class CropSettings:
    """Which proposals are cut out, and how.

    Attributes:
        context: Sides of a crop in those of its box: 1 for the box alone, 1.5 for a quarter more on each side.
        score: Leave out proposals below this score.
        top: Crops of a photograph, at most; None for all.
        separate: Leave out a proposal that shares more than this part of the smaller box with a better one that
            stays: 0 for boxes that share nothing; None keeps all.
        square: Make crops as wide as high, by more context; at the border they are moved inside.
        longest: A crop with a longer side is shrunk to it, in pixels.

    Raises:
        InputError: A number outside its range.
    """

    context: float = 1.0
    score: float = 0.0
    top: int | None = None
    separate: float | None = None
    square: bool = False
    longest: int = LONGEST

    def __post_init__(self) -> None:
        if not is_number(self.context, 0.1, 100):
            raise InputError(f"context is {self.context!r}, but must be a number from 0.1 to 100.")
        for name, share in (("score", self.score), ("separate", self.separate)):
            if share is not None and not is_number(share, 0, 1):
                raise InputError(f"{name} is {share!r}, but must be a number from 0 to 1.")
        if self.top is not None and not is_whole(self.top, 1):
            raise InputError(f"top is {self.top!r}, but must be a whole number, 1 or more.")
        if not is_whole(self.longest, 1) or self.longest > _MOST_LONGEST:
            raise InputError(f"longest is {self.longest!r}, but must be a whole number from 1 to {_MOST_LONGEST}.")


@dataclass(frozen=True, eq=False)
class Crop:
    """The pixels of one proposal.

    Attributes:
        rank: Of the proposal among those that are cut out, from 1, the best first.
        box_xyxy: ``float32 (4,)``, the proposal in pixels of the photograph.
        score: Of the proposal.
        part: What was cut out, in pixels of the photograph.
        pixels: ``uint8 (h, w, 3)`` RGB; of the part's size, or smaller where that is longer than allowed.
        is_damaged: Whether something of it could not be decoded and is grey.
    """

    rank: int
    box_xyxy: NDArray[np.float32]
    score: float
    part: Rectangle
    pixels: NDArray[np.uint8]
    is_damaged: bool


def choose_crops(proposals: Proposals, settings: CropSettings) -> Proposals:
    """The proposals that are cut out, best first; boxes that are no finite numbers are not."""
    usable = np.isfinite(proposals.boxes_xyxy).all(axis=1) & (proposals.scores >= settings.score)
    found = Proposals(proposals.boxes_xyxy[usable], proposals.scores[usable], proposals.size_hw, proposals.source)
    if settings.separate is not None:
        kept = _separate(found.boxes_xyxy, settings.separate, settings.top)
        found = Proposals(found.boxes_xyxy[kept], found.scores[kept], found.size_hw, found.source)
    return found if settings.top is None else found.top(settings.top)


def crop_part(box_xyxy: NDArray[np.float32], size_hw: tuple[int, int], settings: CropSettings) -> Rectangle:
    """The whole pixels that a crop takes: its box with the context, inside of the image, one pixel at least.

    Args:
        box_xyxy: ``(4,)`` in pixels of the image.
        size_hw: (height, width) of the image.
        settings: Context and shape.
    """
    x1, y1, x2, y2 = (float(value) for value in box_xyxy)
    across, down = (x2 - x1) * settings.context, (y2 - y1) * settings.context
    if settings.square:
        side = max(1, ceil(max(across, down)))
        y, height = _moved_inside((y1 + y2) / 2, side, size_hw[0])
        x, width = _moved_inside((x1 + x2) / 2, side, size_hw[1])
    else:
        y, height = _cut_off((y1 + y2) / 2, down, size_hw[0])
        x, width = _cut_off((x1 + x2) / 2, across, size_hw[1])
    return Rectangle(y, x, height, width)


def cut_crops(reader: WindowReader, proposals: Proposals, settings: CropSettings) -> Iterator[Crop]:
    """Cut proposals out of an image, one at a time, from top to bottom, so that a huge image is read once.

    Args:
        reader: The image (:func:`objectness.images.windows.open_windows.open_windows`).
        proposals: Of this image.
        settings: Which of them, and how.

    Raises:
        InputError: The proposals are those of an image of another size; nothing can be read any more.
    """
    if proposals.size_hw != reader.size_hw:
        (height, width), (own_height, own_width) = proposals.size_hw, reader.size_hw
        raise InputError(
            f"{reader.name}: has {own_width} x {own_height} pixels, but the proposals are of an image of {width} x "
            f"{height}; give those of this image."
        )
    chosen = choose_crops(proposals, settings)
    parts = [crop_part(box, chosen.size_hw, settings) for box in chosen.boxes_xyxy]
    for place in sorted(range(len(parts)), key=parts.__getitem__):
        part = parts[place]
        pixels, missing = _pixels(reader, part, settings.longest)
        is_damaged = any(_meet(part, other) for other in missing)
        yield Crop(place + 1, chosen.boxes_xyxy[place], float(chosen.scores[place]), part, pixels, is_damaged)


def _pixels(reader: WindowReader, part: Rectangle, longest: int) -> tuple[NDArray[np.uint8], tuple[Rectangle, ...]]:
    if max(part.height, part.width) <= longest:
        window = reader.window(part)
        return window.pixels, window.missing
    shrunk = shrink(_PartReader(reader, part), longest)
    return shrunk.pixels, shrunk.missing


class _PartReader:
    """A part of an image as an image; parts that are missing stay in pixels of the whole one."""

    def __init__(self, reader: WindowReader, part: Rectangle) -> None:
        self.name = reader.name
        self.in_order = reader.in_order
        self.size_hw = part.height, part.width
        self._reader = reader
        self._part = part

    def window(self, part: Rectangle) -> Window:
        """The pixels of a part of the part."""
        return self._reader.window(Rectangle(part.y + self._part.y, part.x + self._part.x, part.height, part.width))

    def close(self) -> None:
        """Leave the image open: it is not ours."""


def _separate(boxes_xyxy: Boxes, share: float, most: int | None) -> NDArray[np.intp]:
    """Positions of the boxes that share no more than ``share`` of the smaller one with a better one that stays."""
    areas = area(boxes_xyxy)
    waiting = np.arange(len(boxes_xyxy))
    kept: list[int] = []
    while len(waiting) and (most is None or len(kept) < most):
        best, waiting = int(waiting[0]), waiting[1:]
        kept.append(best)
        common = intersection(boxes_xyxy[[best]], boxes_xyxy[waiting])[0]
        waiting = waiting[common <= share * np.minimum(areas[best], areas[waiting])]
    return np.array(kept, dtype=np.intp)


def _cut_off(centre: float, length: float, limit: int) -> tuple[int, int]:
    """First pixel and number of pixels of a stretch; what lies outside of the image is cut off."""
    first = min(max(0, floor(centre - length / 2)), limit - 1)
    end = max(first + 1, min(limit, ceil(centre + length / 2)))
    return first, end - first


def _moved_inside(centre: float, length: int, limit: int) -> tuple[int, int]:
    """The same for a stretch that is moved inside, and shorter only where the image is."""
    length = min(length, limit)
    return min(max(0, round(centre - length / 2)), limit - length), length


def _meet(part: Rectangle, other: Rectangle) -> bool:
    return (
        part.y < other.y + other.height
        and other.y < part.y + part.height
        and part.x < other.x + other.width
        and other.x < part.x + part.width
    )
