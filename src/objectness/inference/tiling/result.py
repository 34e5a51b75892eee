"""What is known of an image that was seen in tiles, beside its boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from objectness.images import Source
from objectness.images.windows.protocol import Rectangle


@dataclass(frozen=True)
class Tiling:
    """How an image was seen.

    Attributes:
        scales_hw: Its (height, width) at each scale, the smallest first.
        tiles: Windows that were computed, at all scales.
        tile: Longest side of a window in pixels.
        overlap: Pixels that a window sees beyond the cells that are taken from it.
        exact: Whether that is the network's whole reach, so that the result is that of the image in one piece.
        missing: Parts of the image that could not be read, in its own pixels; there the network saw grey.
        remarks: Sentences for the user: on missing parts, on the way the image was read.
    """

    scales_hw: tuple[tuple[int, int], ...]
    tiles: int
    tile: int
    overlap: int
    exact: bool
    missing: tuple[Rectangle, ...] = ()
    remarks: tuple[str, ...] = ()


class TileProgress(NamedTuple):
    """How far an image is.

    Attributes:
        source: The image, as it was given.
        done: Tiles that are done, at all scales.
        tiles: All of them.
        seconds_left: By the pace so far; None before the first tile of this run.
    """

    source: Source
    done: int
    tiles: int
    seconds_left: float | None
