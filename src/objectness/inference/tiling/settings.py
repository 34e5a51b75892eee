"""How an image is cut into tiles, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from objectness.arguments import is_number, is_whole
from objectness.errors import InputError

LARGE_PIXELS = 50_000_000
"""An image of more pixels is tiled by itself: shrunk to a network's working size it would lose most of its objects."""

AUTO_TILE = 1024
AUTO_OVERLAP = 128

THREADS_OF_A_TILE = 4
"""Threads compute one tile together up to this number, and as many tiles at once as there are such teams: a tile takes
some 200 MB while it is computed."""

MOST_SIDE = 16_384  # pixels of a window: more than any memory holds the maps of
MOST_SCALES = 16
SMALLEST_FRACTION = 1e-4


@dataclass(frozen=True)
class TileSettings:
    """How an image is tiled.

    Attributes:
        tile: Side of a tile in pixels with its overlap; every image is tiled then. "auto" tiles images of more than
            ``LARGE_PIXELS`` pixels, with a side of ``AUTO_TILE``. "off" tiles none: they are shrunk as any photograph.
        overlap: Pixels by which a tile sees beyond the cells that are taken from it, rounded up to the stride of the
            coarsest level. "exact" takes the network's reach: then the result is that of the whole image. "auto" takes
            the reach too, where it is at most ``AUTO_OVERLAP``; else this.
        scales: At which sizes it is seen. "auto" takes the image's own size, half of it, and so on down to the
            network's working size; a number takes the largest of these; fractions of the image's own size are taken as
            they are.

    Raises:
        InputError: A value of another kind or range.
    """

    tile: int | Literal["auto", "off"] = "auto"
    overlap: int | Literal["auto", "exact"] = "auto"
    scales: int | Literal["auto"] | Sequence[float] = "auto"

    def __post_init__(self) -> None:
        if self.tile not in ("auto", "off") and not is_whole(self.tile, 1, MOST_SIDE):
            raise InputError(
                f"tile is {self.tile!r}, but must be a whole number of pixels up to {MOST_SIDE:,}, 'auto' or 'off'.",
                arguments=("tile",),
            )
        if self.overlap not in ("auto", "exact") and not is_whole(self.overlap, 0, MOST_SIDE):
            raise InputError(
                f"overlap is {self.overlap!r}, but must be a whole number of pixels up to {MOST_SIDE:,}, 'auto' or "
                "'exact'.",
                arguments=("overlap",),
            )
        if self.scales == "auto" or is_whole(self.scales, 1, MOST_SCALES):
            return
        fractions = tuple(self.scales) if isinstance(self.scales, Sequence) else ()
        if not 0 < len(fractions) <= MOST_SCALES or not all(is_number(f, SMALLEST_FRACTION, 1) for f in fractions):
            raise InputError(
                f"scales is {self.scales!r}, but must be 'auto', a whole number up to {MOST_SCALES}, or fractions of "
                f"the image's own size from {SMALLEST_FRACTION} to 1, {MOST_SCALES} at most.",
                arguments=("scales",),
            )
