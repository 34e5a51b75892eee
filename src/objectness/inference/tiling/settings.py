"""How an image is cut into tiles, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from objectness.arguments import is_number, is_whole
from objectness.errors import InputError

if TYPE_CHECKING:
    from objectness.inference.tiling.result import TileProgress

LARGE_PIXELS = 50_000_000
"""An image of more pixels is tiled by itself: shrunk to a network's working size it would lose most of its objects."""

AUTO_TILE = 1024
AUTO_OVERLAP = 128

ONE_WINDOW_PIXELS = 3 * AUTO_TILE**2 // 2
"""A scale of at most so many pixels is seen whole where the tile is "auto": little more memory, and exact."""

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


def is_large(size_hw: tuple[int, int]) -> bool:
    """Whether an image of (height, width) is tiled by itself, and not held whole to be handed on."""
    return size_hw[0] * size_hw[1] > LARGE_PIXELS


@dataclass(frozen=True)
class Look:
    """How a proposer looks at images.

    Attributes:
        short_side: An ordinary photograph's short side is resized to this many pixels ...
        long_side: ... unless its long side would then pass this.
        own_size: Whether these are the model's own sides, and not the caller's.
        thorough: Look at a photograph at several sizes.
        tiles: How images are tiled, and which.
        threads: Processor threads; None for every core this process may use.
        journal: Folder where the state of a tiled image under way is kept; None keeps none.
        resume: Go on with what is there.
        on_tile: Hears of each tile that is done.
    """

    short_side: int
    long_side: int
    own_size: bool = True
    thorough: bool = False
    tiles: TileSettings = TileSettings()
    threads: int | None = None
    journal: Path | None = None
    resume: bool = False
    on_tile: Callable[[TileProgress], None] | None = None

    @property
    def large_pixels(self) -> int | None:
        """An image of more pixels is tiled by itself; None where none is."""
        return LARGE_PIXELS if self.tiles.tile == "auto" else None

    @property
    def always_in_parts(self) -> bool:
        """Whether every image is tiled, or seen at several sizes, or at one that is too large to be seen at once."""
        if self.thorough or self.tiles.tile not in ("auto", "off"):
            return True
        is_enlarged = not self.own_size and self.short_side * self.long_side > ONE_WINDOW_PIXELS
        return is_enlarged and self.tiles.tile == "auto"

    def tiles_image(self, size_hw: tuple[int, int]) -> bool:
        """Whether an image of (height, width) is tiled."""
        if self.tiles.tile == "auto":
            return is_large(size_hw)
        return self.tiles.tile != "off"
